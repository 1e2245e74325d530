"""A job of the running service, started and watched from the command line.

The work is the service's: one process owns the device, and there clicks go first. What is closed here goes on there;
Ctrl-C ends both.
"""

from __future__ import annotations

from time import sleep
from typing import Any

import httpx
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

from label_studio_sam2.doctor import service_client
from label_studio_sam2.errors import NotReady, ServiceError
from label_studio_sam2.settings import Settings

POLL_SECONDS = 0.5

START_SECONDS = 100
"""The service asks Label Studio how many tasks there are, which on a large project takes its time."""


class JobFailedError(ServiceError):
    """The service refused or gave up; its own reason."""


class RateColumn(ProgressColumn):
    """Tasks a second, as measured lately."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f}/s")


def follow(settings: Settings, address: str | None, asked: dict[str, Any]) -> dict[str, Any]:
    """Starts what is asked for (see `project_jobs.ProjectJob`) and shows its progress; the job as it ended.

    Raises NotReady where no service answers, and JobFailedError with the reason of the job.
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
        job = _call(http, "POST", "/jobs", json=asked)
        bar = progress.add_task(escape(job["title"]), total=None, said="")
        try:
            while job["finished"] is None:
                _show(progress, bar, job)
                sleep(POLL_SECONDS)
                job = _call(http, "GET", f"/jobs/{job['id']}")
        except KeyboardInterrupt:
            job = _call(http, "DELETE", f"/jobs/{job['id']}")
            raise
        _show(progress, bar, job)
    if job["state"] == "failed":
        raise JobFailedError(job["message"])
    for reason in (job["result"] or {}).get("reasons", ()):
        console.print(f"[yellow]{escape(reason)}[/]")
    return job


def _show(progress: Progress, bar: Any, job: dict[str, Any]) -> None:
    done = job["progress"]
    progress.update(bar, completed=done["done"], total=done["total"], said=escape(job["message"]))


def _call(http: httpx.Client, method: str, path: str, **request: Any) -> dict[str, Any]:
    try:
        answer = http.request(method, path, timeout=START_SECONDS, **request)
    except httpx.TransportError as error:
        raise NotReady(
            f"No service answers at {http.base_url} ({error}). Start it with `label-studio-sam2 serve`, or name its "
            "address with --service."
        ) from error
    content: dict[str, Any] = answer.json()
    if answer.is_error:
        raise JobFailedError(str(content.get("detail", content)))
    return content
