"""Predictions stored in Label Studio, each once, whoever else answers for the same task at the same time."""

from __future__ import annotations

from label_studio_sam2.answers import Answers
from label_studio_sam2.labelstudio import project_tasks
from label_studio_sam2.labelstudio.protocol import Prediction, Task
from label_studio_sam2.service import Service

STORED = "stored"
THERE_ALREADY = "there already"


def possible(task: Task, project: int | None, service: Service) -> bool:
    """Whether there is a Label Studio that takes predictions, and the task is one of its."""
    client = service.label_studio
    return bool(client.url and client.key and project is not None and isinstance(task.id, int))


def stored(task: Task, project: int | None, service: Service) -> bool:
    """Whether the task has a prediction of the project's model version by now."""
    if not possible(task, project, service):
        return False
    assert isinstance(task.id, int)
    assert project is not None
    version = service.model(project).version
    return project_tasks.predicted(service.label_studio, project, task.id, version)


def store(task: Task, prediction: Prediction, project: int | None, service: Service) -> str:
    """Stores a prediction unless the task has one of this version by now, or gets one by an answer under way.

    Returns in a word what became of it. Raises LabelStudioError.
    """
    deliveries = service.deliveries
    with deliveries.lock:
        just_given = deliveries.recent(("given", project, task.id))
        if just_given or stored(task, project, service):
            return THERE_ALREADY
        assert isinstance(task.id, int)
        service.label_studio.create_prediction(
            task.id, prediction.result, model_version=prediction.model_version, score=prediction.score
        )
        deliveries.note((STORED, project, task.id))
        return STORED


def give(
    answers: Answers, place: int, entry: bytes, *, task: Task, project: int | None, service: Service
) -> bool:
    """Whether a request takes a task's masks; it doesn't where a job has stored them a moment ago."""
    deliveries = service.deliveries
    with deliveries.lock:
        if deliveries.recent((STORED, project, task.id)) and stored(task, project, service):
            return False
        given = answers.give(place, entry)
        if given:
            deliveries.note(("given", project, task.id))
        return given
