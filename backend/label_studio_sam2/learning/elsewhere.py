"""What a tuned version has to leave as it is: what the base answers away from all that was accepted.

A checkpoint of photographs is held to photographs, one of slides to slides: to the project's own pictures and those of
the service's other projects. What everything mode surely finds on them apart from accepted objects is rehearsed, and
judged by; the truth is what the base answers there (Li and Hoiem 2016, Learning without Forgetting). Their embeddings
are cached already, so this costs decodes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from itertools import chain, islice
from operator import or_
from time import monotonic

import numpy as np

from label_studio_sam2.background.job import Job
from label_studio_sam2.context import Context
from label_studio_sam2.engine.image.found_object import FoundObject
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import Example, one_click, tight_box
from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.learning.training_set import TrainingSet, side_of
from label_studio_sam2.task_media import picture, shown
from label_studio_sam2.types import Bitmap, Picture, Size

ASKED_WITH = (one_click, tight_box)
"""How is asked there: corrections would be of what a model answered, so two models would be asked different things."""

CLICKS_A_SIDE = 12
"""Of the grid that looks for objects: few, for a CPU does a hundred in a second or two."""

OBJECTS = 4
"""Of one picture, the best rated."""

COVERED = 0.1
"""Of an object that lies apart: at most so much of it was accepted."""

LEAST, MOST = 0.0005, 0.5
"""Of the picture: what is smaller is found by chance, what is larger is its ground."""

LOOKED_AT, PROJECTS, TASKS = 10, 3, 4
"""Of other projects the newest are looked at, and of those that are connected to this service the first few tasks of
some read: enough to notice what would be lost there."""


def objects(
    segmenter: Segmenter, shows: Picture, accepted: Sequence[Bitmap], group: str, go_on: Callable[[], None]
) -> list[Example]:
    """What the base finds on a picture apart from the accepted masks, which lie on the model's square. `go_on` may
    raise to break off."""
    side = segmenter.model.image_size
    taken: Bitmap = reduce(or_, accepted, np.zeros((side, side), np.bool_))
    masks = (one.bitmap(Size(side, side)) for one in _everything(segmenter, shows, go_on))
    apart = (mask for mask in masks if _lies_apart(mask, taken))
    examples = (Example.of(shows, mask, side, group) for mask in islice(apart, OBJECTS))
    return [example for example in examples if example is not None]


def _everything(segmenter: Segmenter, shows: Picture, go_on: Callable[[], None]) -> list[FoundObject]:
    """On the model's square, as what is accepted: nothing is upsampled to a large picture."""
    model = segmenter.model
    square = Size(model.image_size, model.image_size)
    embedded = segmenter.embed(shows, Priority.TUNING)
    return segmenter.everything(
        model,
        shows,
        embedded._replace(embedding=replace(embedded.embedding, size=square)),
        grid=replace(Grid.of(square, model), points_per_side=CLICKS_A_SIDE, crop_n_layers=0),
        priority=Priority.TUNING,
        before_each_turn=go_on,
    )


def _lies_apart(mask: Bitmap, taken: Bitmap) -> bool:
    area = int(mask.sum())
    return LEAST < area / mask.size < MOST and int((mask & taken).sum()) <= COVERED * area


def search(
    found: TrainingSet, others: Iterable[tuple[int, Picture]], context: Context, job: Job, until: float
) -> None:
    """Adds what the base finds apart from what was accepted: on the project's pictures, taken from each side in turns,
    and on `others`, with their tasks' numbers; on so many as the limits allow, until the time is over."""
    segmenter, most = context.segmenter(), context.fit_limits.pictures
    own = ((group, one.picture, one.accepted) for group, one in found.in_turns())
    foreign = ((task, shows, list[Example]()) for task, shows in others)
    for done, (task, shows, accepted) in enumerate(islice(chain(own, foreign), most)):
        job.go_on()
        if monotonic() > until:
            break
        job.progress(done, most, "pictures", "Looking at what else they show")
        taken = [example.mask.bitmap() for example in accepted]
        try:
            found.elsewhere[side_of(task)] += objects(segmenter, shows, taken, str(task), job.go_on)
        except ServiceError as error:
            found.skip(error)


def other_pictures(
    project: int, context: Context, connected: Callable[[int], bool]
) -> Iterator[tuple[int, Picture]]:
    """The newest pictures of other projects that are connected to this service, each with its task's number; whatever
    can't be read is passed over."""
    client = context.label_studio
    with suppress(ServiceError):
        others = islice((one for one in client.projects() if one["id"] != project), LOOKED_AT)
        for other in islice((one for one in others if connected(one["id"])), PROJECTS):
            config = labeling_config.parse(other.get("label_config"))
            for task in islice(project_tasks.tasks(client, other["id"], page_size=TASKS), TASKS):
                for place in islice(shown(task, config), 1):
                    with suppress(ServiceError):
                        yield int(task.id or 0), picture(task, place, context)
