"""The use case: many tasks at once, or one that is opened. What isn't ready in time goes on as a job.

Label Studio waits for a batch as it waits for a click, so the answer has what was ready within the budget; the rest is
stored through its API where LABEL_STUDIO_API_KEY is set, and otherwise kept for the next time it asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from label_studio_sam2 import storing
from label_studio_sam2.answers import Answers
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.jobs import Job, Result
from label_studio_sam2.labelstudio import labeling_config, project_tasks
from label_studio_sam2.labelstudio.protocol import Prediction, PredictRequest, Task
from label_studio_sam2.prelabels import Asked, prelabel, wanted
from label_studio_sam2.project_runs import FAILED, LEFT, run_over
from label_studio_sam2.service import Service

OPENING_SECONDS = 4.0
"""How long the page of a task that is being opened may wait for its masks."""

KIND = "masks"
"""Jobs that make masks of many tasks: one at a time, for the device does one thing at a time."""

OPENED_KIND = "opened"

KEPT = "kept"
LATE = (
    "Not all tasks were ready within PREDICT_BUDGET seconds. Retrieve predictions again, or set LABEL_STUDIO_API_KEY "
    "so that late ones are stored by themselves."
)

WRITTEN = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Deliver = Callable[[Task, Prediction], str]
"""Hands a task's masks over, and returns in a word what became of them."""


def answer(request: PredictRequest, service: Service) -> dict[str, Any]:
    """An entry for each task: its masks, or an empty list, for which Label Studio stores nothing and asks again.

    Where there is nothing to make masks of, nothing is done. Raises NotReady.
    """
    try:
        config = labeling_config.parse(request.label_config)
    except LabelConfigError as error:
        service.problems.record(request.project_id, type(error).__name__, error.detail)
        return _response(request, {})
    opened = len(request.tasks) == 1 and not request.everything
    priority = Priority.PREWARM if opened else Priority.BATCH
    asked = Asked(request.project_id, config, request.everything, priority)
    places = [place for place, task in enumerate(request.tasks) if wanted(task, asked, service)]
    if not places:
        return _response(request, {})
    version = service.model(request.project_id).version
    keys = {place: _key(request, request.tasks[place], version) for place in places}
    done = _taken(keys, service)
    if late := {place: key for place, key in keys.items() if place not in done}:
        done |= _made(request, late, asked, service, opened=opened)
        done |= _taken({place: key for place, key in late.items() if place not in done}, service)
    return _response(request, done)


def _taken(keys: Mapping[int, str], service: Service) -> dict[int, bytes]:
    """Answers that an earlier request's job has made meanwhile, by the task's place in the request."""
    found = {place: service.kept.take(key) for place, key in keys.items()}
    return {place: entry for place, entry in found.items() if entry is not None}


def _made(
    request: PredictRequest, keys: Mapping[int, str], asked: Asked, service: Service, *, opened: bool
) -> dict[int, bytes]:
    """What a job makes of the tasks at these places within the budget; it goes on with the others."""
    answers = Answers()
    tasks = [request.tasks[place] for place in keys]
    places = {id(task): place for task, place in zip(tasks, keys, strict=True)}

    def deliver(task: Task, prediction: Prediction) -> str:
        place = places[id(task)]
        # A copy: orjson's own keeps the buffer that it was written in, often a megabyte, for as long as it is kept.
        entry = bytes(memoryview(orjson.dumps(prediction, option=WRITTEN)))
        if storing.give(answers, place, entry, task=task, project=asked.project, service=service):
            return "answered"
        if storing.possible(task, asked.project, service):
            return storing.store(task, prediction, asked.project, service)
        service.kept.put(keys[place], entry)
        if not opened:
            service.problems.record(asked.project, "LateAnswer", LATE)
        return KEPT

    def stored_meanwhile(task: Task) -> bool:
        """By somebody else; possible once the request no longer waits."""
        return answers.closed and storing.stored(task, asked.project, service)

    def work(job: Job) -> Result:
        return _label(job, tasks, len(tasks), asked, service, deliver=deliver, skip=stored_meanwhile)

    if opened:
        key, title = (OPENED_KIND, *keys.values()), f"Task {tasks[0].id}"
        service.jobs.submit(OPENED_KIND, key, work, title=title).wait(OPENING_SECONDS)
    else:
        title = f"{len(tasks)} tasks of project {asked.project}"
        service.jobs.submit(KIND, object(), work, title=title).wait(service.settings.predict_budget)
    return answers.close()


def predict_project(project: int, everything: bool, service: Service) -> Job:
    """Starts to store masks for all tasks of a project that have none of this model version.

    Raises NotReady, LabelStudioError, LabelConfigError.
    """
    version = service.model(project).version
    client = service.label_studio
    config = labeling_config.parse(client.project(project)["label_config"])
    asked = Asked(project, config, everything, Priority.BATCH)

    def deliver(task: Task, prediction: Prediction) -> str:
        return storing.store(task, prediction, project, service)

    def work(job: Job) -> Result:
        total = project_tasks.count(client, project, project_tasks.lacking(version))
        tasks = project_tasks.unpredicted(client, project, version)
        return _label(job, tasks, total, asked, service, deliver=deliver)

    return service.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}")


def _label(
    job: Job,
    tasks: Iterable[Task],
    total: int,
    asked: Asked,
    service: Service,
    *,
    deliver: Deliver,
    skip: Callable[[Task], bool] = lambda _: False,
) -> Result:
    """Makes each task's masks and delivers them, until the job is cancelled."""
    asked = asked._replace(before_each_turn=job.go_on)

    def one(task: Task) -> str:
        if skip(task):
            return storing.THERE_ALREADY
        prediction = prelabel(task, asked, service)
        return "without masks" if prediction is None else deliver(task, prediction)

    result = run_over(job, tasks, total, one, problems=service.problems, project=asked.project)
    if result.keys().isdisjoint({FAILED, LEFT, KEPT}):
        service.problems.clear(asked.project)
    return result


def _key(request: PredictRequest, task: Task, version: str) -> str:
    """Of all that a task's masks depend on."""
    content = [request.project, request.label_config, request.everything, version, task.model_dump()]
    return hashlib.blake2b(orjson.dumps(content, option=WRITTEN), digest_size=16).hexdigest()


def _response(request: PredictRequest, entries: dict[int, bytes]) -> dict[str, Any]:
    """The editor wants a dictionary for a task that it shows; a batch's empty list stores nothing."""
    empty: Any = [] if request.context is None else {"result": []}
    return {
        "results": [
            orjson.Fragment(entries[place]) if place in entries else empty
            for place in range(len(request.tasks))
        ]
    }
