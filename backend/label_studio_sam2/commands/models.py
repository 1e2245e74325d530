"""`models`: the published checkpoints and what of them is on this disk."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from label_studio_sam2.engine.checkpoints import CHECKPOINTS, download, verify
from label_studio_sam2.errors import CheckpointError


def show(folder: Path) -> None:
    """A line for each published checkpoint."""
    table = Table("name", "MB", "SHA-256", "in " + str(folder))
    for checkpoint in CHECKPOINTS.values():
        here = "yes" if (folder / checkpoint.file).exists() else "no"
        table.add_row(checkpoint.name, f"{checkpoint.size / 1e6:.0f}", checkpoint.sha256[:16], here)
    table.add_row("demo", "6", "", "in the package: for trying out, not for photos")
    Console().print(table)


def fetch(name: str, folder: Path) -> None:
    """Downloads with a progress bar; does nothing where the file is there. Raises CheckpointError."""
    if name not in CHECKPOINTS:
        raise CheckpointError(f"There is no checkpoint {name}. Choose from {', '.join(CHECKPOINTS)}.")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(name, total=CHECKPOINTS[name].size)
        path = download(
            CHECKPOINTS[name], folder, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    verify(path, CHECKPOINTS[name])
    Console().print(f"{path} is the published {name}.", highlight=False)


def check(folder: Path) -> None:
    """Verifies every published checkpoint that is here. Raises CheckpointError at the first that differs."""
    here = [checkpoint for checkpoint in CHECKPOINTS.values() if (folder / checkpoint.file).exists()]
    for checkpoint in here:
        verify(folder / checkpoint.file, checkpoint)
        Console().print(f"{checkpoint.file}: as published", highlight=False)
    if not here:
        Console().print(f"{folder} holds no published checkpoint.", highlight=False)
