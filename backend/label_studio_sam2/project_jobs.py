"""What can be started on a whole project over POST /jobs; progress and cancellation are every job's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from label_studio_sam2 import batch, fit, warming
from label_studio_sam2.jobs import Job
from label_studio_sam2.service import Service


class ProjectJob(BaseModel):
    """POST /jobs. `everything`: also where the project's config doesn't say so."""

    kind: Literal["warm", "predict", "fit"]
    project: int = Field(gt=0)
    everything: bool = False


START: Mapping[str, Callable[[ProjectJob, Service], Job]] = {
    "warm": lambda asked, service: warming.warm_project(asked.project, service),
    "predict": lambda asked, service: batch.predict_project(asked.project, asked.everything, service),
    "fit": lambda asked, service: fit.submit(asked.project, service),
}


def start(asked: ProjectJob, service: Service) -> dict[str, Any]:
    """The job as GET /jobs shows it; the one that runs already where the same was started before."""
    return START[asked.kind](asked, service).snapshot()
