"""What annotators accepted in a project, as examples to tune with, to stop by and to measure on.

Label Studio's API has the last word on what was accepted, so a lost or doubled webhook changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any, Literal

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.tuning.measuring import Example
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.annotations import Accepted, accepted
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.task_media import picture, video
from label_studio_sam2.types import Picture
from label_studio_sam2.wording import counted

MOST_TASKS = 200
"""Of a project: as many pictures as are encoded within the budget and stay in the cache."""

BLOCK, HELD_OUT, CHECKING = 8, 2, 1
"""Of eight tasks in a row, two are never trained on and one decides when to stop."""

LEAST_HELD_OUT_TASKS = 3
LEAST_TRAINING_MASKS = 5

Side = Literal["training", "checking", "held out"]


class TooLittle(Exception):
    """There is not enough to tune with or to measure on; the text says what is missing."""


@dataclass
class TrainingSet:
    """One run's examples by side, and what couldn't be used. `annotations` is how many the project has, as Label
    Studio counts them: submitted, not skipped."""

    annotations: int = 0
    examples: dict[Side, list[Example]] = field(
        default_factory=lambda: {"training": [], "checking": [], "held out": []}
    )
    tasks: int = 0
    unusable: int = 0
    first_trouble: str = ""

    @property
    def masks(self) -> int:
        return sum(map(len, self.examples.values()))

    def add(self, task: int, examples: list[Example]) -> None:
        self.examples[side_of(task)] += examples
        self.tasks += bool(examples)

    def skip(self, error: ServiceError) -> None:
        self.unusable += 1
        self.first_trouble = self.first_trouble or error.detail

    def counts(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "tasks": self.tasks,
            "annotations": self.annotations,
            "masks": self.masks,
            "unusable": self.unusable,
            **{side.replace(" ", "_"): len(examples) for side, examples in self.examples.items()},
        }

    def require(self) -> None:
        """Raises TooLittle."""
        held_out = len({example.group for example in self.examples["held out"]})
        if len(self.examples["training"]) >= LEAST_TRAINING_MASKS and held_out >= LEAST_HELD_OUT_TASKS:
            return
        trouble = (
            f" {self.unusable} could not be used; the first: {self.first_trouble}" if self.unusable else ""
        )
        raise TooLittle(
            f"Not tuned: {counted(self.masks, 'accepted mask')} on {counted(self.tasks, 'task')} "
            f"{'is' if self.masks == 1 else 'are'} too few to learn from and to measure on. "
            f"Accept masks on about {BLOCK * LEAST_HELD_OUT_TASKS // HELD_OUT} tasks or more, then start again."
            + trouble
        )


def collect(project: int, context: Context, job: Job, until: float) -> TrainingSet:
    """The project's accepted masks with their pictures encoded, in an order of chance, until the time
    (`time.monotonic`) is over. Raises LabelStudioError where the project can't be read, and CancelledError."""
    client = context.label_studio
    shown = client.project(project)
    label_config = shown.get("label_config")
    labeling_config.parse(label_config)
    found = TrainingSet(annotations=int(shown.get("total_annotations_number") or 0))
    chosen = sorted(project_tasks.annotated(client, project), key=_chance)[:MOST_TASKS]
    for done, task_id in enumerate(chosen):
        job.go_on()
        if monotonic() > until:
            break
        job.progress(done, len(chosen), "tasks", "Reading what was accepted")
        task = project_tasks.whole(client, project, task_id)
        if task is not None:
            found.add(task_id, list(_examples(found, task, label_config, context, job)))
    return found


def side_of(task: int) -> Side:
    """Which part of the split a task belongs to: by its id alone, so it is the same in every run."""
    block, place = divmod(task, BLOCK)
    rank = sorted(range(BLOCK), key=lambda other: _chance(block * BLOCK + other)).index(place)
    return "held out" if rank < HELD_OUT else "checking" if rank < HELD_OUT + CHECKING else "training"


def _chance(task: int) -> bytes:
    return blake2b(str(task).encode(), digest_size=8).digest()


def _examples(
    found: TrainingSet, task: Task, label_config: str, context: Context, job: Job
) -> Iterator[Example]:
    segmenter = context.segmenter()
    try:
        masks = accepted(task, labeling_config.parse(label_config, task.data))
    except ServiceError as error:
        found.skip(error)
        return
    for one in masks:
        job.go_on()
        try:
            shown = _picture(one, task, context)
            embedded = segmenter.embed(shown, Priority.TUNING)
            example = Example.of(shown, one.bitmap(embedded.size), segmenter.model.image_size, str(task.id))
            if example is None:
                raise RequestError(f"{one.called}: its mask is too small for the model.")
        except ServiceError as error:
            found.skip(error)
        else:
            yield example


def _picture(one: Accepted, task: Task, context: Context) -> Picture:
    if one.keyframe is None:
        return picture(task, (one.tag, one.item_index), context)
    file = video(task, one.tag, context)
    frames = FrameMap.of(file.video, one.tag.frame_rate(task.data), one.counted)
    return file.picture(frames.source(one.keyframe.frame))
