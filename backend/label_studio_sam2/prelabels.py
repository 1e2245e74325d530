"""What one task is answered with where nobody clicked: masks of what it carries already, else of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import fmean
from typing import NamedTuple

from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.engine.everything import Found
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio import existing, results
from label_studio_sam2.labelstudio.controls import LabelingConfig
from label_studio_sam2.labelstudio.prompts import Drawn, RegionPrompt
from label_studio_sam2.labelstudio.protocol import Prediction, Region, Task
from label_studio_sam2.pictures import Place, by_picture, picture, shown
from label_studio_sam2.service import Service
from label_studio_sam2.settings import DEMO
from label_studio_sam2.types import Mask, Size

Answered = Iterator[tuple[Mask, RegionPrompt]]
"""Masks, each with the prompt that its regions are drawn for."""


class Asked(NamedTuple):
    """What all tasks of a batch have in common. `everything`: also where the config doesn't say so.

    `before_each_turn` on the device is called, and may raise to break off.
    """

    project: int | None
    config: LabelingConfig
    everything: bool
    priority: Priority
    before_each_turn: Callable[[], None] = lambda: None


def wanted(task: Task, asked: Asked, service: Service) -> bool:
    """Whether there is anything to make masks of."""
    try:
        return bool(_searched(task, asked) or _prompts(task, asked, service))
    except PromptError:
        return True  # said where the work is done


def prelabel(task: Task, asked: Asked, service: Service) -> Prediction | None:
    """The task's masks; None where there is nothing to make any of, or nothing was found. Its score is their mean.

    Raises what can be wrong with a task: its media, its prompts, its config.
    """
    prompts = _prompts(task, asked, service)
    found = _prompted(prompts, task, asked, service) if prompts else _everything(task, asked, service)
    regions: list[Region] = []
    scores: list[float] = []
    for mask, prompt in found:
        if drawn := results.to_regions([mask], prompt, asked.config):
            regions += drawn
            scores.append(mask.score)
    version = service.model(asked.project).version
    return Prediction(regions, fmean(scores), version) if regions else None


def _prompts(task: Task, asked: Asked, service: Service) -> list[RegionPrompt]:
    return existing.prompts_in(task, asked.config, partial(_ours, service))


def _prompted(prompts: list[RegionPrompt], task: Task, asked: Asked, service: Service) -> Answered:
    """The device is asked for one prompt at a time, so that a click goes in between."""
    segmenter, model = service.segmenter(), service.model(asked.project)
    for (tag, index), here in by_picture(prompts, asked.config).items():
        embedded = segmenter.embed(picture(task, tag, index, service), asked.priority)
        for prompt in here:
            asked.before_each_turn()
            pixels = prompt.scaled(embedded.size)
            ((mask,),) = segmenter.segment(embedded, [pixels], model=model, priority=asked.priority)
            yield mask, prompt


def _everything(task: Task, asked: Asked, service: Service) -> Answered:
    segmenter, model = service.segmenter(), service.model(asked.project)
    for tag, index in _searched(task, asked):
        asked.before_each_turn()
        whole = picture(task, tag, index, service)
        embedded = segmenter.embed(whole, asked.priority)
        found = segmenter.everything(
            whole,
            embedded,
            model=model,
            priority=asked.priority,
            before_each_turn=asked.before_each_turn,
        )
        for number, one in enumerate(found[: asked.config.options(tag.name).regions]):
            yield (
                Mask(one.bitmap(embedded.size), one.score),
                _clicked(one, number, embedded.size, (tag, index)),
            )


def _searched(task: Task, asked: Asked) -> list[Place]:
    """The pictures to find everything on."""
    return [
        (tag, index)
        for tag, index in shown(task, asked.config)
        if asked.everything or asked.config.options(tag.name).everything
    ]


def _clicked(found: Found, number: int, size: Size, place: Place) -> RegionPrompt:
    """The click of the grid that found an object, as the prompt that its region answers."""
    tag, index = place
    at = {"x": 100 * found.point.x / size.width, "y": 100 * found.point.y / size.height}
    click = Drawn((f"everything-{number}",), "keypoint", at, True, (), "", tag.name, index, 0, None)
    return RegionPrompt(tag.name, item_index=index, clicks=(click,))


def _ours(service: Service, version: str) -> bool:
    """Whether a prediction of this model version was made here."""
    return version.rpartition("-")[0] in {DEMO, *CHECKPOINTS, service.segmenter().model.name}
