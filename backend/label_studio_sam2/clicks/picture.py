"""The use case of pictures: clicks and boxes become masks, all prompts of a picture at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions import prompts, results
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.request.asker import came
from label_studio_sam2.request.timing import stage
from label_studio_sam2.task_media import by_picture, picture, room_for_masks
from label_studio_sam2.types import Prompt


def segment(
    drawn: Sequence[Any],
    task: Task,
    config: LabelingConfig,
    model: Model,
    context: Context,
    *,
    project: int | None,
) -> Prediction:
    """The regions that answer what an annotator drew on a task's pictures, and what was left out of it.

    Raises ServiceErrors, that of the first region where none can be used.
    """
    segmenter = context.segmenter()
    regions: list[Region] = []
    scores: list[float] = []
    asked = prompts.from_regions(drawn, config)
    usable, left_out = 0, asked.left_out
    for place, here in by_picture(asked.prompts).items():
        shown = picture(task, place, context)
        embedded = segmenter.embed(shown)
        asking, unusable = prompts.in_pixels(here, embedded.size)
        usable, left_out = usable + len(asking), [*left_out, *unusable]
        if not asking:
            continue
        options = here[0].options
        turn = Turn(Priority.CLICK_DECODE, supersedes=_name(project, task, here[0]), since=came())
        for answering, some in _by_model(model, asking):
            looking = Looking(segmenter, answering, shown, embedded, options.zoom, turn)
            found = looking.segment([pixels for _, pixels in some], options.candidates)
            with room_for_masks(embedded.size, options.candidates):
                for (prompt, _), masks in zip(some, found, strict=True):
                    with stage("regions"):
                        regions += results.to_regions(masks, prompt, shown.note)
                    scores += [mask.trust for mask in masks[:1]]
    if left_out and not usable:
        raise left_out[0]
    return Prediction(
        regions, min(scores, default=None), model.version, tuple(error.detail for error in left_out)
    )


def _by_model(
    model: Model, asking: Sequence[tuple[RegionPrompt, Prompt]]
) -> Iterable[tuple[Model, list[tuple[RegionPrompt, Prompt]]]]:
    """The prompts by what answers them: a tuned version may have decoders for single labels."""
    found: dict[str, tuple[Model, list[tuple[RegionPrompt, Prompt]]]] = {}
    for one in asking:
        answering = model.of(one[0].labels)
        found.setdefault(answering.version, (answering, []))[1].append(one)
    return found.values()


def _name(project: int | None, task: Task, first: RegionPrompt) -> Hashable | None:
    """Whose click it is, which the same annotator's next one on the same region makes moot; None where the request
    doesn't tell: somebody else's must not."""
    return None if task.id is None or not first.ids else (project, task.id, first.ids[0])
