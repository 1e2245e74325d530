"""`doctor`: every check as a line, or as JSON; the exit code is 1 where one found a problem."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from label_studio_sam2.doctor import all_checks
from label_studio_sam2.doctor.check import Check, Finding, State, findings
from label_studio_sam2.settings import Settings

MARKS: dict[State, str] = {
    "ok": "[green]ok     [/]",
    "warning": "[yellow]warning[/]",
    "problem": "[red]problem[/]",
}


def run(settings: Settings, *, project: int | None, address: str | None, every: bool, as_json: bool) -> int:
    """Prints the checks and returns the exit code."""
    most = None if every else all_checks.MOST_PROJECTS
    checks = all_checks.run(settings, project=project, address=address, most=most)
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.print_json(json.dumps([asdict(check) for check in checks]))
    else:
        show(console, checks)
    return int(any(check.state == "problem" for check in checks))


def show(console: Console, checks: Iterable[Check]) -> None:
    """A line a finding, and under it what to do; one that several projects share once."""
    for found in findings(checks):
        check = found.check
        console.print(f"{MARKS[check.state]} [bold]{check.name}[/]{_where(found)}: {escape(check.sentence)}")
        if found.remedy:
            console.print(f"        → {escape(found.remedy)}")


def _where(found: Finding) -> str:
    numbers = ", ".join(map(str, found.projects))
    return f" (project{'s' if len(found.projects) > 1 else ''} {numbers})" if found.projects else ""
