"""What becomes of a track that no request waits for any more: its masks are a prediction of the task, and what went
wrong is a problem of the project's."""

from __future__ import annotations

import logging
from collections.abc import Callable

from label_studio_sam2.background.tracking_run import TrackingRun
from label_studio_sam2.context import Context
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.api.protocol import Prediction, Task

log = logging.getLogger(__name__)


def storing(
    answer: Callable[[TrackingRun], Prediction], task: Task, context: Context
) -> Callable[[TrackingRun], None]:
    """Stores the run's whole answer as a prediction on the task, where Label Studio lets us."""

    def store(run: TrackingRun) -> None:
        if not context.settings.label_studio_api_key.get_secret_value() or task.number is None:
            return
        found = answer(run)
        try:
            context.label_studio.create_prediction(
                task.number, found.result, model_version=found.model_version, score=found.score
            )
        except ServiceError as error:  # the masks are still there for the next click
            log.warning("the masks of task %s could not be stored: %s", task.id, error.detail)

    return store


def failing(task: Task, project: int | None, context: Context) -> Callable[[ServiceError], None]:
    """Keeps what went wrong for the project's status."""

    def fail(error: ServiceError) -> None:
        context.problems.record(project, type(error).__name__, f"Task {task.id}: {error.detail}")

    return fail
