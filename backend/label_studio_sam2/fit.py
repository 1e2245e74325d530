"""The use case: what annotators accepted in a project becomes a tuned version of the model, if it is better.

Label Studio's API has the last word on what was accepted, so a lost or doubled webhook changes nothing but the time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any, Literal

from label_studio_sam2 import images, report
from label_studio_sam2.engine.frames import Video
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.engine.measuring import KINDS, Example, answers, measure, one_click
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning import Tuned, between, tune
from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.gate import MOST_LOSS, IoUs, Verdict, generality_loss, judge
from label_studio_sam2.jobs import Job
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.annotations import Accepted, accepted, submitted
from label_studio_sam2.labelstudio.controls import LabelingConfig
from label_studio_sam2.labelstudio.frame_map import FrameMap
from label_studio_sam2.labelstudio.protocol import WebhookEvent
from label_studio_sam2.scenes import GUARDED, scenes
from label_studio_sam2.service import Service
from label_studio_sam2.types import Picture

log = logging.getLogger(__name__)

KIND = "fit"
START = "START_TRAINING"
COUNTED = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})

MOST_TASKS = 200
"""Of a project: as many pictures as are encoded within the budget and stay in the cache."""

BLOCK, HELD_OUT, CHECKING = 8, 2, 1
"""Of eight tasks in a row, two are never trained on and one decides when to stop."""

LEAST_HELD_OUT_TASKS = 3
LEAST_TRAINING_MASKS = 5

HALVINGS = 4
"""How finely is sought how much of the tuning generality bears: to a sixteenth."""

SHOTS = 6
Side = Literal["training", "checking", "held out"]


class Refused(Exception):
    """There is nothing to tune with; the text says what is missing."""


@dataclass
class Collected:
    """The examples of one run by side, and what couldn't be used."""

    examples: dict[Side, list[Example]] = field(
        default_factory=lambda: {"training": [], "checking": [], "held out": []}
    )
    tasks: int = 0
    annotations: int = 0
    unusable: int = 0
    first_trouble: str = ""

    def skip(self, error: ServiceError) -> None:
        self.unusable += 1
        self.first_trouble = self.first_trouble or error.detail

    @property
    def masks(self) -> int:
        return sum(map(len, self.examples.values()))

    def counts(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "annotations": self.annotations,
            "masks": self.masks,
            "unusable": self.unusable,
            **{side.replace(" ", "_"): len(examples) for side, examples in self.examples.items()},
        }


def webhook(event: WebhookEvent, service: Service) -> dict[str, Any]:
    """Takes an event at once; what it asks for is done by a job. Storms of events end in one job."""
    answer: dict[str, Any] = {"status": "accepted", "action": event.action}
    project = event.project_id
    if project is not None and (
        event.action == START or (event.action in COUNTED and _due(event, project, service))
    ):
        answer["job"] = submit(project, service).id
    return answer


def submit(project: int, service: Service) -> Job:
    """The job that tunes the project; the same one as long as it waits or runs."""
    return service.jobs.submit(
        KIND, (KIND, project), lambda job: fit(project, service, job), title=f"Project {project}"
    )


def fit(project: int, service: Service, job: Job) -> dict[str, Any]:
    """Collects, tunes, measures, and uses what is better. Answers what came of it and why, ready for JSON.

    Raises LabelStudioError where the project can't be read, Busy where another process is tuning it.
    """
    limits = service.fit_limits
    deadline = monotonic() + limits.seconds
    with service.tuned.training(project):
        try:
            collected = collect(project, service, job, monotonic() + limits.collecting)
            service.fitted[project] = collected.annotations
            _require(collected)
        except Refused as error:
            return {"project": project, "version": None, "used": False, "reason": str(error)}
        if job.cancelled:
            return {"project": project, "version": None, "used": False, "reason": "It was cancelled."}
        return _tuned(project, service, job, collected, deadline)


def collect(project: int, service: Service, job: Job, until: float) -> Collected:
    """The project's accepted masks with their pictures encoded, in an order of chance, until the time is over."""
    segmenter, client = service.segmenter(), service.label_studio
    config = labeling_config.parse(client.project(project)["label_config"])
    found = Collected()
    annotated: list[int] = []
    for task in client.tasks(project):
        count = submitted(task)
        found.annotations += count
        if count:
            annotated.append(int(task["id"]))
    chosen = sorted(annotated, key=_chance)[:MOST_TASKS]
    for done, task_id in enumerate(chosen):
        if job.cancelled or monotonic() > until:
            break
        job.progress(done, len(chosen), "tasks", "Reading what was accepted")
        _add(found, client.task(task_id), config, service, segmenter)
    return found


def _add(
    found: Collected, task: dict[str, Any], config: LabelingConfig, service: Service, segmenter: Segmenter
) -> None:
    side = side_of(int(task["id"]))
    before = found.masks
    for one in accepted(task, config):
        try:
            picture = _picture(one, task, service)
            embedded = segmenter.embed(picture, Priority.TUNING)
            example = Example.of(
                picture, one.bitmap(embedded.size), segmenter.model.image_size, str(one.task)
            )
        except ServiceError as error:
            found.skip(error)
        else:
            if example is None:
                found.skip(RequestError(f"{one.called}: its mask is too small for the model."))
            else:
                found.examples[side].append(example)
    found.tasks += found.masks > before


def side_of(task: int) -> Side:
    """Which part of the split a task belongs to: by its id alone, so it is the same in every run."""
    block, place = divmod(task, BLOCK)
    rank = sorted(range(BLOCK), key=lambda other: _chance(block * BLOCK + other)).index(place)
    return "held out" if rank < HELD_OUT else "checking" if rank < HELD_OUT + CHECKING else "training"


def _chance(task: int) -> bytes:
    return blake2b(str(task).encode(), digest_size=8).digest()


def _picture(one: Accepted, task: dict[str, Any], service: Service) -> Picture:
    file = service.media.fetch(one.tag.address(task["data"], one.item_index), task_id=one.task)
    limit = service.settings.max_image_pixels
    if one.frame is None:
        return Picture(file.digest, lambda: images.read(file.path, max_pixels=limit, name=file.url))
    video = Video.open(file.path, max_pixels=limit)
    index = FrameMap(video.times, one.tag.frame_rate, one.frame).source(one.frame)
    return Picture(f"{file.digest}-{index}", lambda: video.frame(index))


def _require(found: Collected) -> None:
    """Raises Refused unless there is enough to tune with and to measure on."""
    held_out = len({example.group for example in found.examples["held out"]})
    if (
        found.masks
        and len(found.examples["training"]) >= LEAST_TRAINING_MASKS
        and held_out >= LEAST_HELD_OUT_TASKS
    ):
        return
    trouble = (
        f" {found.unusable} could not be used; the first: {found.first_trouble}" if found.unusable else ""
    )
    raise Refused(
        f"Not tuned: {found.masks} accepted masks on {found.tasks} tasks are too few to learn from and to measure "
        f"on. Accept masks on about {BLOCK * LEAST_HELD_OUT_TASKS // HELD_OUT} tasks or more, then start again."
        + trouble
    )


def _tuned(project: int, service: Service, job: Job, found: Collected, deadline: float) -> dict[str, Any]:
    segmenter = service.segmenter()
    base, live = segmenter.model, service.model(project)
    training, held_out = found.examples["training"], found.examples["held out"]
    guard, rehearsal = _generic(base.image_size)
    kinds = tuple(KINDS.values())
    job.progress(0, None, "", "Measuring what is in use")
    before = measure(segmenter, live, held_out, kinds)

    def going(step: int, message: str) -> bool:
        job.progress(step, service.fit_limits.steps, "steps", f"Tuning {message}".strip())
        return not job.cancelled

    tuned = tune(
        segmenter,
        training,
        found.examples["checking"] or training[:8],
        rehearsal,
        deadline=deadline,
        most_steps=service.fit_limits.steps,
        report=going,
    )
    if job.cancelled:
        return {"project": project, "version": None, "used": False, "reason": "It was cancelled."}
    job.progress(tuned.steps, tuned.steps, "steps", "Measuring the new version")
    candidate, lost = _general(segmenter, base, tuned, guard)
    after = measure(segmenter, candidate, held_out, kinds)
    verdict = judge(list(KINDS), [example.group for example in held_out], before, after, lost)
    return _stored(project, service, found, tuned, (live, candidate), verdict)


def _stored(  # noqa: PLR0917  what one run came to
    project: int,
    service: Service,
    found: Collected,
    tuned: Tuned,
    models: tuple[Model, Model],
    verdict: Verdict,
) -> dict[str, Any]:
    """Writes the version and its report, and uses it where the gate let it pass. `models` are what was in use and
    the new one."""
    segmenter = service.segmenter()
    counts = found.counts() | {"steps": tuned.step, "steps_tried": tuned.steps}
    version = service.tuned.save(
        project,
        segmenter.model,
        models[1].decoder,
        accepted=verdict.accepted,
        reason=verdict.reason,
        counts=counts,
        figures=verdict.figures,
    )
    shots = list(_shots(segmenter, models, found.examples["held out"][:SHOTS]))
    title = f"Project {project}, version {version.number}"
    service.tuned.add_report(version, report.page(title, verdict.reason, verdict.figures, counts, shots))
    if verdict.accepted:
        service.tuned.use(project, version.number)
    log.info("%s: %s", title, verdict.reason)
    return {
        "project": project,
        "version": version.name,
        "used": verdict.accepted,
        "reason": verdict.reason,
        "figures": verdict.figures,
        "counts": counts,
        "report": f"/reports/{project}/{version.number}",
    }


def _general(
    segmenter: Segmenter, base: Model, tuned: Tuned, guard: Sequence[Example]
) -> tuple[Model, float]:
    """The model with as much of the tuning as generality bears, and what it loses on the guarded scenes; where it
    bears nothing, the model with the least."""
    kinds = tuple(KINDS.values())
    before: IoUs = measure(segmenter, base, guard, kinds)

    def tried(weight: float) -> tuple[Model, float]:
        candidate = base.tuned(between(base.decoder, tuned.decoder, weight), "candidate")
        return candidate, generality_loss(before, measure(segmenter, candidate, guard, kinds))

    best = tried(1.0)
    if best[1] <= MOST_LOSS:
        return best
    weight, step = 0.5, 0.25
    for _ in range(HALVINGS):
        found = tried(weight)
        passed = found[1] <= MOST_LOSS
        best = found if passed or best[1] > MOST_LOSS else best
        weight, step = weight + (step if passed else -step), step / 2
    return best


def _generic(side: int) -> tuple[list[Example], list[Example]]:
    """Objects of the generic scenes: those that are measured on, and those that are rehearsed."""
    sides: tuple[list[Example], list[Example]] = ([], [])
    for number, scene in enumerate(scenes()):
        picture = Picture(scene.digest, lambda pixels=scene.pixels: pixels)  # type: ignore[misc]
        for mask in scene.masks:
            example = Example.of(picture, mask, side, scene.digest)
            if example is not None:
                sides[number >= GUARDED].append(example)
    return sides


def _shots(
    segmenter: Segmenter, models: tuple[Model, Model], examples: Sequence[Example]
) -> Iterator[report.Shot]:
    before, after = (answers(segmenter, model, examples, (one_click,)) for model in models)
    for example, (was,), (now,) in zip(examples, before, after, strict=True):
        yield report.Shot(example.picture.load(), example.mask.bitmap(), was, now)


def _due(event: WebhookEvent, project: int, service: Service) -> bool:
    """Whether the project asks to be tuned every so many annotations, and so many were submitted since."""
    content = event.project if isinstance(event.project, dict) else {}
    try:
        config = labeling_config.parse(content.get("label_config"))
    except ServiceError:
        return False
    every = config.options(config.object().name).fit_every
    total = content.get("total_annotations_number")
    if not every or not isinstance(total, int):
        return False
    return total - service.annotations_at_last_fit(project) >= every
