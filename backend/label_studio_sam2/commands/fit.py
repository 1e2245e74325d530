"""`fit`: the running service tunes the model to what annotators accepted in a project."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from label_studio_sam2.commands.following import follow
from label_studio_sam2.settings import Settings


def run(settings: Settings, project: int, address: str | None) -> int:
    """Prints what came of it; the exit code is 1 where no better version came of it."""
    console = Console(soft_wrap=True, highlight=False)
    job = follow(settings, address, {"kind": "fit", "project": project})
    result = job["result"] or {}
    if figures := result.get("figures"):
        table = Table("held-out IoU", "before", "after")
        for kind, ious in figures["held_out"].items():
            table.add_row(kind, f"{ious['before']:.3f}", f"{ious['after']:.3f}")
        console.print(table)
    console.print(escape(result.get("reason") or "It was cancelled."))
    return 0 if result.get("used") else 1
