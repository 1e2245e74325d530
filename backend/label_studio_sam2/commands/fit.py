"""`fit`: tunes the model to what annotators accepted in a project, in this process."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from label_studio_sam2 import fit
from label_studio_sam2.jobs import Job
from label_studio_sam2.service import Service
from label_studio_sam2.settings import Settings

REFRESH_SECONDS = 0.5


def run(settings: Settings, project: int) -> int:
    """Prints what came of it; the exit code is 1 where no better version came of it. A service that runs on the same
    MODEL_CACHE answers with the new version from its next click on."""
    console = Console(soft_wrap=True, highlight=False)
    service = Service(settings)
    try:
        with console.status("Loading the model") as status:
            service.open(wait=True)
            job = fit.submit(project, service)
            while not job.wait(REFRESH_SECONDS):
                status.update(escape(_progress(job)))
    finally:
        service.close()
    result = job.result or {}
    if figures := result.get("figures"):
        table = Table("held-out IoU", "before", "after")
        for kind, ious in figures["held_out"].items():
            table.add_row(kind, f"{ious['before']:.3f}", f"{ious['after']:.3f}")
        console.print(table)
    console.print(escape(str(result.get("reason") or job.message)))
    return 0 if result.get("used") else 1


def _progress(job: Job) -> str:
    total = "" if job.total is None else f" of {job.total}"
    return f"{job.message or 'Waiting'}: {job.done}{total} {job.unit}"
