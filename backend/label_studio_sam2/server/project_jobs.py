"""What can be started on a whole project over POST /jobs; progress and cancellation are every job's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.labelstudio.api.protocol import WebhookEvent
from label_studio_sam2.learning import webhooks
from label_studio_sam2.prelabels import batch, follow, warming
from label_studio_sam2.request.whose import Whose, working_for


class ProjectJob(BaseModel):
    """POST /jobs. `everything`, `find`: also where the project's config doesn't say so. `tasks`: those to follow
    through, in their order; without them all of the project's."""

    kind: Literal["warm", "predict", "fit", "follow"]
    project: int = Field(gt=0)
    everything: bool = False
    find: bool = False
    words: str | None = Field(None, max_length=100_000)
    like: bool = False
    tasks: list[Annotated[int, Field(gt=0)]] | None = Field(None, min_length=2, max_length=follow.MOST_TASKS)


START: Mapping[str, Callable[[ProjectJob, Context], Job]] = {
    "warm": lambda asked, context: warming.warm_project(asked.project, context),
    "predict": lambda asked, context: batch.predict_project(
        asked.project,
        context,
        everything=asked.everything,
        find=asked.find,
        words=asked.words,
        like=asked.like,
    ),
    "follow": lambda asked, context: follow.follow_tasks(asked.project, asked.tasks, context),
    "fit": lambda asked, context: webhooks.submit(asked.project, context),
}


def start(asked: ProjectJob, context: Context) -> dict[str, Any]:
    """The job as GET /jobs shows it; the one that runs already where the same was started before, at any replica. Tasks
    that are named may be others each time."""
    if (
        asked.tasks is None
        and (running := context.job_records.running(asked.kind, asked.project)) is not None
    ):
        return running
    return context.job_records.remember(begin(asked, context).id, asked.model_dump(exclude_defaults=True))


def begin(asked: ProjectJob, context: Context) -> Job:
    with working_for(Whose(asked.project)):
        return START[asked.kind](asked, context)


def event(read: WebhookEvent, context: Context) -> dict[str, Any]:
    """The answer to an event of Label Studio's. The job that it starts is begun again as if it had been asked for."""
    answer = webhooks.webhook(read, context)
    if "job" in answer:
        context.job_records.remember(answer["job"], {"kind": "fit", "project": read.project_id})
    return answer
