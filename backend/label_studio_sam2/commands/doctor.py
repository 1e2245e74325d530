"""`doctor`: every check as a line, or as JSON; the exit code is 1 where one found a problem."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from label_studio_sam2 import doctor
from label_studio_sam2.checks.check import Check, State
from label_studio_sam2.settings import Settings

MARKS: dict[State, str] = {
    "ok": "[green]ok     [/]",
    "warning": "[yellow]warning[/]",
    "problem": "[red]problem[/]",
}


def run(settings: Settings, *, project: int | None, address: str | None, as_json: bool) -> int:
    """Prints the checks and returns the exit code."""
    checks = doctor.run(settings, project=project, address=address)
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.print_json(json.dumps([asdict(check) for check in checks]))
    else:
        show(console, checks)
    return int(any(check.state == "problem" for check in checks))


def show(console: Console, checks: Iterable[Check]) -> None:
    """A line a check, and under it what to do."""
    for check in checks:
        where = f" (project {check.project})" if check.project is not None else ""
        console.print(f"{MARKS[check.state]} [bold]{check.name}[/]{where}: {escape(check.sentence)}")
        if check.remedy:
            console.print(f"        → {escape(check.remedy)}")
