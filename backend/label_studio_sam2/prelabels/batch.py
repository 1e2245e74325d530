"""The use case: many tasks at once, or one that is opened. What isn't ready in time goes on as a job.

Label Studio waits for a batch as it waits for a click, so the answer has what was ready within the budget; the rest is
stored through its API where LABEL_STUDIO_API_KEY is set, and otherwise kept for the next time it asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

import orjson

from label_studio_sam2.background.deliveries import Waiting
from label_studio_sam2.background.job import Job, Result
from label_studio_sam2.background.over_tasks import FAILED, LEFT, run_over
from label_studio_sam2.context import Context
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import PredictRequest, Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.prelabels.delivery import KEPT, THERE_ALREADY, WRITTEN, Delivery
from label_studio_sam2.prelabels.like import examples
from label_studio_sam2.prelabels.task import Batch, Sought, prelabel
from label_studio_sam2.request.asker import came
from label_studio_sam2.wording import counted

OPENING_SECONDS = 4.0
"""How long the page of a task that is being opened may wait for its masks."""

KIND = "masks"
"""Jobs that make masks of many tasks: one at a time for each project."""

OPENED_KIND = "opened"

WITHOUT_MASKS = "without masks"
"""Tasks that carry nothing to make masks of, or on which nothing was found."""

LATE = (
    "Not all tasks were ready within PREDICT_BUDGET seconds. Retrieve predictions again, or set LABEL_STUDIO_API_KEY "
    "so that late ones are stored by themselves."
)


def predict(request: PredictRequest, context: Context) -> dict[str, Any]:
    """An entry for each task: its masks, or an empty list, for which Label Studio stores nothing and asks again.

    Where there is nothing to make masks of, nothing is done. Raises NotReady.
    """
    try:
        labeling_config.parse(request.label_config)
    except LabelConfigError as error:
        context.problems.record(request.project_id, type(error).__name__, error.detail)
        return _response(request, {})
    sought = Sought(request.label_config, request.everything, context.settings.model)
    tasks = {place: task for place, task in enumerate(request.tasks) if sought.on(task)}
    if not tasks:
        return _response(request, {})
    opened = len(request.tasks) == 1 and not request.everything
    model = context.model(request.project_id)
    batch = Batch(request.project_id, sought, model, Priority.PREWARM if opened else Priority.BATCH)
    written = {place: _written(request, task, model.version) for place, task in tasks.items()}
    keys = {place: hashlib.blake2b(one, digest_size=16).hexdigest() for place, one in written.items()}
    done = _kept(keys, context)
    if late := {place: key for place, key in keys.items() if place not in done}:
        nbytes = sum(len(written[place]) for place in late)
        del written
        done |= _made(request, late, nbytes, batch, context, opened=opened)
        done |= _kept({place: key for place, key in late.items() if place not in done}, context)
    return _response(request, done)


def predict_project(
    project: int,
    context: Context,
    *,
    everything: bool = False,
    find: bool = False,
    words: str | None = None,
    like: bool = False,
) -> Job:
    """Starts to store masks for all tasks of a project that have none of this model version: of what they carry, of
    `everything`, of what the labels name (`find`), or of what these words do; or, for tasks without an annotation, of
    what is `like` what was accepted.

    Raises NotReady, LabelStudioError, LabelConfigError, PromptError.
    """
    model, client = context.model(project), context.label_studio
    label_config = client.project(project).get("label_config")
    config = labeling_config.parse(label_config)
    sought = Sought(label_config, everything, context.settings.model, find, words)
    if like or any(sought.phrases(config, name) for name in config.objects):
        context.words.get()  # so that whoever asks hears at once of a detector that isn't there
    batch = Batch(project, sought, model, Priority.BATCH)

    def work(job: Job) -> Result:
        alike = examples(project, label_config, context, job) if like else {}
        undone = project_tasks.undone() if like else []
        total = project_tasks.count(client, project, [*project_tasks.lacking(model.version), *undone])
        tasks = enumerate(project_tasks.unpredicted(client, project, model.version, undone))
        told = batch._replace(sought=sought._replace(examples=alike))
        return _label(job, tasks, total, told, Delivery(project, model.version, context))

    return context.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}", turn=_turn(project))


def _kept(keys: Mapping[int, str], context: Context) -> dict[int, bytes]:
    """Answers that an earlier request's job has made meanwhile, by the task's place in the request."""
    return context.deliveries.take_all(keys)


def _turn(project: int | None) -> Hashable:
    return KIND, "of project", project


def _made(
    request: PredictRequest,
    keys: Mapping[int, str],
    nbytes: int,
    batch: Batch,
    context: Context,
    *,
    opened: bool,
) -> dict[int, bytes]:
    """What a job makes of the tasks at these places, of so many bytes, within the budget; it goes on with the others.

    Asked for the same tasks again, it is the same job, whose masks go to whoever asked first."""
    asked = context.deliveries.now()
    delivery = Delivery(batch.project, batch.model.version, context, Waiting(), keys, asked)
    tasks = [(place, request.tasks[place]) for place in keys]

    def work(job: Job) -> Result:
        return _label(job, tasks, len(tasks), batch, delivery)

    if opened:
        kind, turn, title = OPENED_KIND, None, f"Task {tasks[0][1].id}"
        seconds = OPENING_SECONDS
    else:
        kind, turn, seconds = KIND, _turn(batch.project), context.settings.predict_budget
        title = f"{counted(len(tasks), 'task')} of project {batch.project}"
    job = context.jobs.submit(
        kind, (kind, frozenset(keys.values())), work, title=title, turn=turn, nbytes=nbytes
    )
    job.wait(max(0.0, came() + seconds - monotonic()))
    return delivery.answer(dict(tasks))


def _label(
    job: Job, tasks: Iterable[tuple[int, Task]], total: int, batch: Batch, delivery: Delivery
) -> Result:
    """Makes each task's masks and delivers them, until the job is cancelled. Tasks come with their places."""
    context = delivery.context
    batch = batch._replace(before_each_turn=job.go_on)
    in_part: list[Task] = []

    def one(place: int, task: Task) -> str:
        if delivery.delivered(task):
            return THERE_ALREADY
        prediction = prelabel(task, batch, context)
        if prediction is None:
            return WITHOUT_MASKS
        outcome = delivery.deliver(place, task, prediction)
        if prediction.left_out:
            in_part.append(task)
            context.problems.left_out(batch.project, task.id, prediction.left_out)
        elif prediction.unlabelled:
            in_part.append(task)
            context.problems.unlabelled(batch.project, task.id, prediction.unlabelled)
        if outcome == KEPT and batch.priority is Priority.BATCH:
            context.problems.record(batch.project, "LateAnswer", LATE)
        return outcome

    result = run_over(job, tasks, total, one, problems=context.problems, project=batch.project)
    if not in_part and result.keys().isdisjoint({FAILED, LEFT, KEPT}):
        context.problems.clear(batch.project)
    return result


def _written(request: PredictRequest, task: Task, version: str) -> bytes:
    """All that a task's masks depend on; something of its own, so that nothing kept is ever found, for what is nested
    too deeply to be written."""
    carried = [task.id, task.data, task.annotations, task.predictions]
    content = [request.project, request.label_config, request.everything, version, carried]
    try:
        return orjson.dumps(content, option=WRITTEN)
    except orjson.JSONEncodeError:
        return uuid4().bytes


def _response(request: PredictRequest, entries: dict[int, bytes]) -> dict[str, Any]:
    """The editor wants a dictionary for a task that it shows; a batch's empty list stores nothing."""
    empty: Any = [] if request.interactive is None else {"result": []}
    return {
        "results": [
            orjson.Fragment(entries[place]) if place in entries else empty
            for place in range(len(request.tasks))
        ]
    }
