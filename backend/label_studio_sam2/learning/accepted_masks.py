"""Reads what annotators accepted in a project, and rejected: masks with the pictures and frames that they lie on.

Label Studio's API has the last word on it, so a lost or doubled webhook changes nothing but the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from time import monotonic

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.tuning.measuring import Example
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.annotations import Accepted, accepted, rejected
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.learning.near_duplicates import thumbnail
from label_studio_sam2.learning.training_set import Shown, TrainingSet, chance
from label_studio_sam2.task_media import picture, video
from label_studio_sam2.types import Picture, Size

MOST_TASKS = 200
"""Of a project: as many pictures as are encoded within the budget and stay in the cache."""

CORRECTED = 2.0
"""What a mask counts that an annotator corrected, beside one that was accepted as it was suggested: it tells more."""

SAME = 0.5
"""In IoU: a suggestion that is as near to an accepted mask wasn't rejected."""

Place = tuple[str, int | None, int | None]
"""A tag, a picture of its list, a frame of its video."""


def collect(project: int, context: Context, job: Job, until: float) -> TrainingSet:
    """The project's accepted masks with their pictures encoded, in an order of chance, until the time
    (`time.monotonic`) is over. Raises LabelStudioError where the project can't be read, and CancelledError."""
    client = context.label_studio
    about = client.project(project)
    label_config = about.get("label_config")
    labeling_config.parse(label_config)
    found = TrainingSet(annotations=int(about.get("total_annotations_number") or 0))
    chosen = sorted(project_tasks.annotated(client, project), key=chance)[:MOST_TASKS]
    for done, task_id in enumerate(chosen):
        job.go_on()
        if monotonic() > until:
            break
        job.progress(done, len(chosen), "tasks", "Reading what was accepted")
        task = project_tasks.whole(client, project, task_id)
        if task is not None:
            found.shown += _shown(found, task, label_config, context, job)
    return found


def _shown(found: TrainingSet, task: Task, label_config: str, context: Context, job: Job) -> Iterator[Shown]:
    """A task's pictures and frames on which something was accepted."""
    try:
        config = labeling_config.parse(label_config, task.data)
        kept, thrown = accepted(task, config), rejected(task, config)
    except ServiceError as error:
        found.skip(error)
        return
    for masks, suggestions in _by_place(kept, thrown):
        job.go_on()
        one = (masks or suggestions)[0]
        try:
            shows = _picture(one, task, context)
            size = context.segmenter().embed(shows, Priority.TUNING).size
            seen = thumbnail(shows.load())
        except ServiceError as error:
            for _ in masks:
                found.skip(error)
            continue
        side = context.segmenter().model.image_size
        usable = list(_usable(found, masks, shows, size, side))
        suggested = _usable(found, suggestions, shows, size, side)
        was_rejected = [example for example in suggested if _differs(example, usable)]
        if usable or was_rejected:
            yield Shown(int(task.id or 0), shows, usable, was_rejected, seen)


def _by_place(
    kept: list[Accepted], thrown: list[Accepted]
) -> Iterable[tuple[list[Accepted], list[Accepted]]]:
    """What was accepted and suggested on each picture and frame."""
    found: dict[Place, tuple[list[Accepted], list[Accepted]]] = {}
    for which, masks in enumerate((kept, thrown)):
        for one in masks:
            place = one.tag.name, one.item_index, one.keyframe.frame if one.keyframe else None
            found.setdefault(place, ([], []))[which].append(one)
    return found.values()


def _usable(
    found: TrainingSet, masks: list[Accepted], shows: Picture, size: Size, side: int
) -> Iterator[Example]:
    for one in masks:
        weight = CORRECTED if one.corrected else 1.0
        try:
            example = Example.of(shows, one.bitmap(size), side, one.called, weight)
            if example is None:
                raise RequestError(f"{one.called}: its mask is too small for the model.")
            example = replace(example, label=next(iter(one.labels), ""))
        except ServiceError as error:
            found.skip(error)
        else:
            yield example


def _differs(suggested: Example, kept: list[Example]) -> bool:
    """Whether nothing that was accepted is about the same."""
    mask = suggested.mask.bitmap()
    return all(iou(mask, one.mask.bitmap()) < SAME for one in kept)


def _picture(one: Accepted, task: Task, context: Context) -> Picture:
    if one.keyframe is None:
        return picture(task, (one.tag, one.item_index), context)
    file = video(task, one.tag, context)
    frames = FrameMap.of(file.video, one.tag.frame_rate(task.data), one.counted)
    return file.picture(frames.source(one.keyframe.frame))
