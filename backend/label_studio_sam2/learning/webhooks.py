"""What Label Studio's events ask for: a project is tuned on Start Training, or every so many annotations."""

from __future__ import annotations

import logging
from typing import Any

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.api.protocol import WebhookEvent
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.learning.fit import connected, fit, left

log = logging.getLogger(__name__)

KIND = "fit"
START = "START_TRAINING"
COUNTED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})

FIT_EVERY = "model_fit_every"
"""The option that asks for tuning without Start Training."""

NOT_CONNECTED = "The event names a project that isn't connected to this service."


def webhook(event: WebhookEvent, context: Context) -> dict[str, Any]:
    """Takes an event at once; what it asks for is done by a job. Storms of events end in one job.

    Whoever sends START with a password is believed; without one, and for annotation events, Label Studio is asked
    whether the project is connected to this service. What annotators have submitted is looked up in Label Studio: those
    events carry no password, so that anybody may send them.
    """
    answer: dict[str, Any] = {"status": "accepted", "action": event.action}
    if _counted(event):
        context.events.note(event.project_id, lambda: begun(event, context))
    elif (job := begun(event, context)) is not None:
        answer["job"] = job.id
    return answer


def begun(event: WebhookEvent, context: Context) -> Job | None:
    """The job that an event asks for, if any; Label Studio is waited for where it has to be asked."""
    project = event.project_id
    if project is None:
        return None
    if _counted(event):
        return _submit_if_due(project, context)
    if event.action != START:
        return None
    return submit(project, context, believed=bool(context.settings.basic_auth_user))


def _counted(event: WebhookEvent) -> bool:
    """Whether the event may make its project due: an annotation was saved where tuning is asked for at all."""
    return event.action in COUNTED and event.project_id is not None and FIT_EVERY in str(event.label_config)


def _submit_if_due(project: int, context: Context) -> Job | None:
    """The job that tunes the project, where it asks to be tuned every so many annotations, and so many were submitted
    since: by Label Studio's own word."""
    try:
        content = context.label_studio.project(project)
        config = labeling_config.parse(content.get("label_config"))
        every = config.options(config.object().name).fit_every
        total = int(content.get("total_annotations_number") or 0)
        if every and total - context.tuned.tried(project) >= every:
            return submit(project, context, believed=False)
    except ServiceError as error:
        log.warning("whether project %s is to be tuned can't be told: %s", project, error.detail)
    return None


def submit(project: int, context: Context, *, believed: bool = True) -> Job:
    """The job that tunes the project; the same one as long as it waits or runs. Where who asks isn't `believed`, it
    first looks whether the project is connected to this service."""

    def work(job: Job) -> dict[str, Any]:
        if believed or connected(project, context):
            return fit(project, context, job)
        return left(project, f"{NOT_CONNECTED} Run `label-studio-sam2 connect --project {project}`.")

    return context.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}")
