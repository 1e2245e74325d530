"""The use case: many tasks at once, or one that is opened. What isn't ready in time goes on as a job.

Label Studio waits for a batch as it waits for a click, so the answer has what was ready within the budget; the rest is
stored through its API where LABEL_STUDIO_API_KEY is set, and otherwise kept for the next time it asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import orjson

from label_studio_sam2.answers import Answers
from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.engine.everything import Found
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.errors import LabelConfigError, PromptError
from label_studio_sam2.jobs import Job, Result
from label_studio_sam2.labelstudio import existing, labeling_config, project_tasks, results
from label_studio_sam2.labelstudio.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.prompts import Drawn, RegionPrompt
from label_studio_sam2.labelstudio.protocol import Prediction, PredictRequest, Region, Task
from label_studio_sam2.pictures import picture, shown
from label_studio_sam2.project_runs import FAILED, LEFT, run_over
from label_studio_sam2.service import Service
from label_studio_sam2.settings import DEMO
from label_studio_sam2.types import Mask, Size

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

MOST_REGIONS = 200
"""More objects than anybody corrects one by one, and than the editor shows smoothly."""

WRITTEN = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

Deliver = Callable[[Task, Prediction], str]


class Asked(NamedTuple):
    """What all tasks of a batch have in common. `everything`: also where the config doesn't say so."""

    project: int | None
    config: LabelingConfig
    everything: bool
    priority: Priority


def answer(request: PredictRequest, service: Service) -> dict[str, Any]:
    """An entry for each task: its masks, or an empty list, for which Label Studio stores nothing and asks again.

    Masks are made of what a task carries already, else of everything where the project or the request wants it.
    Where that is nothing, nothing is done. Raises NotReady.
    """
    try:
        config = labeling_config.parse(request.label_config)
    except LabelConfigError as error:
        service.problems.record(request.project_id, type(error).__name__, error.detail)
        return _response(request, {})
    opened = len(request.tasks) == 1 and not request.everything
    priority = Priority.PREWARM if opened else Priority.BATCH
    asked = Asked(request.project_id, config, request.everything, priority)
    wanted = [place for place, task in enumerate(request.tasks) if _wanted(task, asked, service)]
    if not wanted:
        return _response(request, {})
    version = service.model(request.project_id).version
    keys = {place: _key(request, request.tasks[place], version) for place in wanted}
    done = _taken(keys, service)
    if late := {place: key for place, key in keys.items() if place not in done}:
        done |= _made(request.tasks, late, asked, service, opened=opened)
        done |= _taken({place: key for place, key in late.items() if place not in done}, service)
    return _response(request, done)


def _taken(keys: Mapping[int, str], service: Service) -> dict[int, bytes]:
    """Answers that an earlier request's job has made meanwhile, by the task's place in the request."""
    found = {place: service.kept.take(key) for place, key in keys.items()}
    return {place: entry for place, entry in found.items() if entry is not None}


def _made(
    tasks: Sequence[Task], keys: Mapping[int, str], asked: Asked, service: Service, *, opened: bool
) -> dict[int, bytes]:
    """What a job makes of the tasks at these places within the budget; it goes on with the others."""
    answers = Answers()
    places = {id(tasks[place]): place for place in keys}

    def deliver(task: Task, prediction: Prediction) -> str:
        place = places[id(task)]
        entry = orjson.dumps(prediction, option=WRITTEN)
        if _given(answers, place, entry, task=task, asked=asked, service=service):
            return "answered"
        if _can_store(task, asked, service):
            return _store(task, prediction, asked, service)
        service.kept.put(keys[place], entry)
        if not opened:
            service.problems.record(asked.project, "LateAnswer", LATE)
        return KEPT

    def work(job: Job) -> Result:
        here = [tasks[place] for place in keys]
        return _label(
            job, here, len(here), asked=asked, service=service, deliver=deliver, late=lambda: answers.closed
        )

    if opened:
        job = service.jobs.submit(
            OPENED_KIND, (OPENED_KIND, *keys.values()), work, title=f"Task {tasks[0].id}"
        )
        job.wait(OPENING_SECONDS)
    else:
        title = f"{len(keys)} tasks of project {asked.project}"
        job = service.jobs.submit(KIND, object(), work, title=title)
        job.wait(service.settings.predict_budget)
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
        return _store(task, prediction, asked, service)

    def work(job: Job) -> Result:
        total = project_tasks.count(client, project, project_tasks.lacking(version))
        tasks = project_tasks.unpredicted(client, project, version)
        return _label(job, tasks, total, asked=asked, service=service, deliver=deliver)

    return service.jobs.submit(KIND, (KIND, project), work, title=f"Project {project}")


def masks(
    task: Task, asked: Asked, service: Service, before_each_turn: Callable[[], None] = lambda: None
) -> Prediction | None:
    """The task's masks; None where there is nothing to make any of, or nothing was found. Its score is their mean.

    `before_each_turn` may raise to break off.
    """
    segmenter, model = service.segmenter(), service.model(asked.project)
    regions: list[Region] = []
    scores: list[float] = []

    def draw(found: Sequence[Mask], prompt: RegionPrompt) -> None:
        drawn = results.to_regions(found, prompt, asked.config)
        if drawn:
            regions.extend(drawn)
            scores.extend(mask.score for mask in found)

    given = existing.prompts_in(task, asked.config, partial(_ours, service))
    for tag, index in dict.fromkeys((asked.config.object(p.to_name), p.item_index) for p in given):
        embedded = segmenter.embed(picture(task, tag, index, service), asked.priority)
        for prompt in given:
            if (asked.config.object(prompt.to_name), prompt.item_index) == (tag, index):
                before_each_turn()
                pixels = prompt.scaled(embedded.size)
                draw(segmenter.segment(embedded, [pixels], model=model, priority=asked.priority)[0], prompt)
    for tag, index in () if given else _searched(task, asked):
        before_each_turn()
        whole = picture(task, tag, index, service)
        embedded = segmenter.embed(whole, asked.priority)
        found = segmenter.everything(
            whole, embedded, model=model, priority=asked.priority, before_each_turn=before_each_turn
        )
        for number, one in enumerate(found[:MOST_REGIONS]):
            prompt = _clicked(one, number, embedded.size, tag, index)
            draw([Mask(one.bitmap(embedded.size), one.score)], prompt)
    return Prediction(regions, fmean(scores), model.version) if regions else None


def _label(
    job: Job,
    tasks: Iterable[Task],
    total: int,
    *,
    asked: Asked,
    service: Service,
    deliver: Deliver,
    late: Callable[[], bool] = lambda: False,
) -> Result:
    """Makes each task's masks and delivers them. `late`: the request no longer waits, so somebody else may have
    stored masks meanwhile."""

    def go_on() -> None:
        if job.cancelled:
            raise CancelledError

    def one(task: Task) -> str:
        if late() and _can_store(task, asked, service) and _stored(task, asked, service):
            return "there already"
        prediction = masks(task, asked, service, go_on)
        return "without masks" if prediction is None else deliver(task, prediction)

    result = run_over(job, tasks, total, one, problems=service.problems, project=asked.project)
    if result.keys().isdisjoint({FAILED, LEFT, KEPT}):
        service.problems.clear(asked.project)
    return result


def _wanted(task: Task, asked: Asked, service: Service) -> bool:
    try:
        return bool(
            _searched(task, asked) or existing.prompts_in(task, asked.config, partial(_ours, service))
        )
    except PromptError:
        return True  # said where the work is done


def _searched(task: Task, asked: Asked) -> list[tuple[ObjectTag, int | None]]:
    """The pictures to find everything on."""
    return [
        (tag, index)
        for tag, index in shown(task, asked.config)
        if asked.everything or asked.config.options(tag.name).everything
    ]


def _clicked(found: Found, number: int, size: Size, tag: ObjectTag, index: int | None) -> RegionPrompt:
    """The click of the grid that found an object, as the prompt that its region answers."""
    place = {"x": 100 * found.point.x / size.width, "y": 100 * found.point.y / size.height}
    click = Drawn((f"everything-{number}",), "keypoint", place, True, (), "", tag.name, index, 0, None)
    return RegionPrompt(tag.name, item_index=index, clicks=(click,))


def _ours(service: Service, version: str) -> bool:
    """Whether a prediction of this model version was made here."""
    return version.rpartition("-")[0] in {DEMO, *CHECKPOINTS, service.segmenter().model.name}


def _can_store(task: Task, asked: Asked, service: Service) -> bool:
    client = service.label_studio
    return bool(client.url and client.key and asked.project is not None and isinstance(task.id, int))


def _stored(task: Task, asked: Asked, service: Service) -> bool:
    assert isinstance(task.id, int)
    assert asked.project is not None
    version = service.model(asked.project).version
    return project_tasks.predicted(service.label_studio, asked.project, task.id, version)


def _given(answers: Answers, place: int, entry: bytes, *, task: Task, asked: Asked, service: Service) -> bool:
    """Whether the request takes a task's masks; it doesn't where a late job stored them a moment ago."""
    with service.deliveries.lock:
        just_stored = service.deliveries.recent(("stored", asked.project, task.id))
        if just_stored and _can_store(task, asked, service) and _stored(task, asked, service):
            return False
        given = answers.give(place, entry)
        if given:
            service.deliveries.note(("given", asked.project, task.id))
        return given


def _store(task: Task, prediction: Prediction, asked: Asked, service: Service) -> str:
    """Stores a prediction unless the task has one of this version by now, or gets one by an answer under way."""
    with service.deliveries.lock:
        just_given = service.deliveries.recent(("given", asked.project, task.id))
        if just_given or _stored(task, asked, service):
            return "there already"
        assert isinstance(task.id, int)
        service.label_studio.create_prediction(
            task.id, prediction.result, model_version=prediction.model_version, score=prediction.score
        )
        service.deliveries.note(("stored", asked.project, task.id))
        return "stored"


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
