"""`connect`: sets a project up and prints its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from label_studio_sam2.commands.doctor import show
from label_studio_sam2.doctor import connect
from label_studio_sam2.doctor.connect import Wish
from label_studio_sam2.settings import Settings


def run(settings: Settings, wish: Wish) -> int:
    """Prints what was done and the project's address; the exit code is 1 where a click will not give a mask."""
    console = Console(soft_wrap=True, highlight=False)
    bars = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*bars, console=console, transient=True, disable=not console.is_terminal) as progress:

        @contextmanager
        def opened(path: Path) -> Iterator[IO[bytes]]:
            with progress.open(path, "rb", description=escape(path.name)) as file:
                yield file

        connected = connect.run(settings, wish, opened)
    for line in connected.done or ("Nothing had to be changed.",):
        console.print(escape(line))
    show(console, [check for check in connected.checks if check.state != "ok"])
    console.print(f"[bold]{connected.address}[/]")
    return int(any(check.state == "problem" for check in connected.checks))
