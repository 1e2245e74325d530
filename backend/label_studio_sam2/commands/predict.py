"""`predict`: the running service stores masks for a project's tasks as predictions."""

from __future__ import annotations

from label_studio_sam2.commands.following import follow
from label_studio_sam2.commands.warm import report
from label_studio_sam2.settings import Settings


def run(settings: Settings, project: int, address: str | None, *, everything: bool) -> int:
    """Prints what became of the tasks; the exit code is 1 where some failed or were left."""
    return report(
        follow(settings, address, {"kind": "predict", "project": project, "everything": everything})
    )
