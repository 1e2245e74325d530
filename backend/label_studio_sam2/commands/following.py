"""A job of the running service, started and watched from the command line.

The work is the service's: one process owns the device, and there clicks go first. What is closed here goes on there;
Ctrl-C ends both.
"""

from __future__ import annotations

from time import sleep
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from label_studio_sam2.commands.service import Refused, call
from label_studio_sam2.doctor.all_checks import service_client
from label_studio_sam2.settings import Settings

POLL_SECONDS = 0.5

CANCELLED = 130
"""The exit code of what was ended with Ctrl-C."""

LEFT = {"fit": "no version was made"}
"""What is left of a job that was cancelled; of the others, what was done."""


class RateColumn(ProgressColumn):
    """Tasks a second, as measured lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def follow(settings: Settings, address: str | None, asked: dict[str, Any]) -> dict[str, Any]:
    """Starts what is asked for (see `project_jobs.ProjectJob`) and shows its progress; the job as it ended.

    Raises NotReady where no service answers, Refused with the reason of the job, and SystemExit upon Ctrl-C, once it is
    cancelled.
    """
    console = Console(highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with service_client(settings, address) as http, Progress(*columns, console=console) as progress:
        job = call(http, "POST", "/jobs", json=asked)
        bar = progress.add_task(escape(job["title"]), total=None, said="")
        try:
            while job["finished"] is None:
                _show(progress, bar, job)
                sleep(POLL_SECONDS)
                job = call(http, "GET", f"/jobs/{job['id']}")
        except KeyboardInterrupt as interrupt:
            call(http, "DELETE", f"/jobs/{job['id']}")
            progress.stop()
            left = LEFT.get(job["kind"], "what is done stays, and the same command goes on from there")
            Console(stderr=True, soft_wrap=True).print(f"Cancelled: {left}.")
            raise SystemExit(CANCELLED) from interrupt
        _show(progress, bar, job)
    if job["state"] == "failed":
        raise Refused(job["message"])
    for reason in (job["result"] or {}).get("reasons", ()):
        console.print(f"[yellow]{escape(reason)}[/]")
    return job


def _show(progress: Progress, bar: Any, job: dict[str, Any]) -> None:
    done = job["progress"]
    progress.update(bar, completed=done["done"], total=done["total"], said=escape(job["message"]))
