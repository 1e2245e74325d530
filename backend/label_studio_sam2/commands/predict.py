"""`predict`: the running service stores masks for a project's tasks as predictions."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from label_studio_sam2.commands.following import follow
from label_studio_sam2.commands.warm import report
from label_studio_sam2.prelabels.batch import WITHOUT_MASKS
from label_studio_sam2.settings import Settings


def run(settings: Settings, project: int, address: str | None, **asked: Any) -> int:
    """Prints what became of the tasks; the exit code is 1 where some failed or were left. `asked` is as `ProjectJob`
    has it."""
    job = follow(settings, address, {"kind": "predict", "project": project, **asked})
    code = report(job)
    if not any(asked.values()) and (job["result"] or {}).get(WITHOUT_MASKS):
        Console(highlight=False, soft_wrap=True).print(
            "Masks are made of the boxes, points, polygons and ellipses that tasks carry. Where they carry none, "
            "`--find` finds what the labels name, and `--everything` finds every object."
        )
    return code
