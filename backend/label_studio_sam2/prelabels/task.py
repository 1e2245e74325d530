"""What one task is answered with where nobody clicked: masks of what it carries already, else of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from label_studio_sam2.clicks.words import Hurry, Search, on_picture
from label_studio_sam2.context import Context
from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.engine.image.found_object import FoundObject
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import RequestError
from label_studio_sam2.labelstudio.api.project_tasks import TUNED
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions import existing, results
from label_studio_sam2.labelstudio.regions.drawn import Drawn
from label_studio_sam2.labelstudio.regions.prompts import Asked, RegionPrompt, in_pixels
from label_studio_sam2.labelstudio.regions.words import Phrase, of_labels, parse, written
from label_studio_sam2.prelabels.like import Examples
from label_studio_sam2.settings import DEMO
from label_studio_sam2.task_media import Place, by_picture, picture, room_for_masks, shown
from label_studio_sam2.types import Mask, Size

Masks = Iterator[tuple[Mask, RegionPrompt, str]]
"""Each with the prompt that its regions are drawn for, and what there is to say of its picture."""


class Sought(NamedTuple):
    """What is looked for on tasks: what they carry in the shapes of the labeling config, with `find` or `words` what
    the labels or the words name, with `examples` what is like them, and with `everything` every object, also where the
    config doesn't say so. `model` is MODEL, whose own predictions are no prompts."""

    label_config: str | None
    everything: bool
    model: str
    find: bool = False
    words: str | None = None
    examples: Examples = MappingProxyType({})

    def config(self, task: Task) -> LabelingConfig:
        """The labeling config as the editor writes it out for the task. Raises LabelConfigError."""
        return labeling_config.parse(self.label_config, task.data)

    def prompts(self, task: Task) -> Asked:
        """What the task carries. Raises RequestError where nothing of it can be used."""
        return existing.prompts_in(task, self.config(task), self._ours)

    def named(self, task: Task) -> list[Search]:
        """The pictures to look for words on, with these. Raises LabelConfigError, PromptError."""
        config = self.config(task)
        places = shown(task, config)
        if self.examples:
            return [Search(place, examples=self.examples) for place in places]
        sought = (Search((tag, index), self.phrases(config, tag.name)) for tag, index in places)
        return [one for one in sought if one.phrases]

    def phrases(self, config: LabelingConfig, to_name: str) -> tuple[Phrase, ...]:
        """What is looked for on an object by its name."""
        if self.words is not None:
            return tuple(parse([self.words], config, to_name))
        return tuple(of_labels(config, to_name)) if self.find or config.options(to_name).find else ()

    def pictures(self, task: Task) -> list[Place]:
        """The pictures to find everything on. Raises LabelConfigError."""
        config = self.config(task)
        return [
            (tag, index)
            for tag, index in shown(task, config)
            if self.everything or config.options(tag.name).everything
        ]

    def on(self, task: Task) -> bool:
        """Whether there is anything to make masks of."""
        try:
            return bool(self.pictures(task) or self.named(task) or self.prompts(task).prompts)
        except RequestError:
            return True  # said where the work is done

    def _ours(self, version: str) -> bool:
        """Whether a prediction of this model version was made here."""
        return version.partition(TUNED)[0].rpartition("-")[0] in {DEMO, *CHECKPOINTS, Path(self.model).stem}


class Batch(NamedTuple):
    """What all tasks that are labelled together have in common. `model` answers all of them, whatever is tuned
    meanwhile. `before_each_turn` on the device is called, and may raise to break off."""

    project: int | None
    sought: Sought
    model: Model
    priority: Priority
    before_each_turn: Callable[[], None] = lambda: None


def prelabel(task: Task, batch: Batch, context: Context) -> Prediction | None:
    """The task's masks; None where there is nothing to make any of, or nothing was found. Its score is that of the
    least sure of them, so that the Data Manager brings up what is to be looked at first.

    Raises what can be wrong with a task: its media, its config, and its prompts where none of them can be used.
    """
    prompts, left_out = Asked([], []) if batch.sought.examples else batch.sought.prompts(task)
    named = [] if prompts else batch.sought.named(task)
    if prompts:
        masks = _prompted(prompts, left_out, task, batch, context)
    else:
        masks = _named(named, task, batch, context) if named else _everything(task, batch, context)
    regions: list[Region] = []
    scores: list[float] = []
    for mask, prompt, note in masks:
        if drawn := results.to_regions([mask], prompt, note):
            regions += drawn
            scores.append(mask.trust)
    if regions:
        reasons = tuple(error.detail for error in left_out)
        said = _written(named, batch.sought.config(task)) if named else []
        unlabelled = tuple(
            dict.fromkeys(one.lacking for sought in named for one in sought.phrases if one.lacking)
        )
        return Prediction([*regions, *said], min(scores), batch.model.version, reasons, unlabelled)
    if left_out:
        raise left_out[0]
    return None


def _prompted(
    prompts: list[RegionPrompt], left_out: list[RequestError], task: Task, batch: Batch, context: Context
) -> Masks:
    """The device is asked for one prompt at a time, so that a click goes in between. The errors of those that can't
    be used are added to `left_out`."""
    segmenter = context.segmenter()
    for place, here in by_picture(prompts).items():
        whole = picture(task, place, context)
        embedded = segmenter.embed(whole, batch.priority)
        asking, unusable = in_pixels(here, embedded.size)
        left_out += unusable
        zoom, turn = here[0].options.zoom, Turn(batch.priority)
        looking = Looking(segmenter, batch.model, whole, embedded, zoom, turn, batch.before_each_turn)
        looking = looking.expecting([pixels for _, pixels in asking])
        for prompt, pixels in asking:
            batch.before_each_turn()
            answering = replace(looking, model=batch.model.of(prompt.labels))
            with room_for_masks(embedded.size):
                ((mask,),) = answering.segment([pixels])
                yield mask, prompt, whole.note


def _named(named: Sequence[Search], task: Task, batch: Batch, context: Context) -> Masks:
    config = batch.sought.config(task)
    hurry = Hurry(Turn(batch.priority), batch.before_each_turn)
    for sought in named:
        yield from on_picture(sought, task, config, batch.model, context, hurry=hurry)


def _written(named: Sequence[Search], config: LabelingConfig) -> list[Region]:
    """The words, so that the task opens with them in its text fields."""
    asked = {sought.place[0].name: sought.phrases for sought in named}
    items = (written(phrases, config, to_name) for to_name, phrases in asked.items() if phrases)
    return [item for item in items if item is not None]


def _everything(task: Task, batch: Batch, context: Context) -> Masks:
    segmenter, config = context.segmenter(), batch.sought.config(task)
    for place in batch.sought.pictures(task):
        batch.before_each_turn()
        whole = picture(task, place, context)
        embedded = segmenter.embed(whole, batch.priority)
        options = config.options(place[0].name)
        found = segmenter.everything(
            batch.model,
            whole,
            embedded,
            grid=Grid.of(embedded.size, batch.model, options.zoom),
            priority=batch.priority,
            before_each_turn=batch.before_each_turn,
        )
        for number, one in enumerate(found[: options.regions]):
            with room_for_masks(embedded.size):
                mask = Mask(one.bitmap(embedded.size), one.score, one.stability)
                yield mask, _clicked(one, number, embedded.size, place, config), whole.note


def _clicked(
    found: FoundObject, number: int, size: Size, place: Place, config: LabelingConfig
) -> RegionPrompt:
    """The click of the grid that found an object, as the prompt that its region answers."""
    tag, index = place
    at = {"x": 100 * found.point.x / size.width, "y": 100 * found.point.y / size.height}
    click = Drawn((f"everything-{number}",), "keypoint", at, True, (), "", tag.name, index, 0, None)
    return RegionPrompt.answerable(config, tag, item_index=index, clicks=(click,))
