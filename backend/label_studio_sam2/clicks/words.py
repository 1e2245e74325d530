"""The use case of words: what an annotator wrote, or drew as an example, becomes the masks of all that it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from label_studio_sam2.clicks import picture as clicks
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.engine.words.finder import Question
from label_studio_sam2.engine.words.tokens import Example
from label_studio_sam2.geometry import clipped, hull
from label_studio_sam2.labelstudio.api.protocol import Prediction, Region, Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.regions import results, words
from label_studio_sam2.labelstudio.regions.drawn import Drawn
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.labelstudio.regions.values import rectangle_corners
from label_studio_sam2.labelstudio.regions.words import Phrase
from label_studio_sam2.request.asker import came
from label_studio_sam2.request.timing import stage
from label_studio_sam2.task_media import Place, picture, room_for_masks
from label_studio_sam2.types import Box, Mask, Picture, Size


class Hurry(NamedTuple):
    """When the device does it; `before_each_turn` may raise to break off, and who has one waits for a detector that
    loads as long as it takes."""

    turn: Turn
    before_each_turn: Callable[[], None] | None = None


class Seen(NamedTuple):
    """An object of a picture: its mask, whose score is its box's, the box, and what it answers: a label, and the name
    of the question."""

    mask: Mask
    box: Box
    label: str | None
    name: str


class Search(NamedTuple):
    """What is looked for on a picture of a task: phrases, boxes that are examples of their labels, and by label
    an example from other pictures."""

    place: Place
    phrases: tuple[Phrase, ...] = ()
    drawn: tuple[Drawn, ...] = ()
    examples: Mapping[str, Example] = MappingProxyType({})


def meant(drawn: Sequence[Any], config: LabelingConfig) -> bool:
    """Whether an annotator asks for more than what is under clicks and boxes."""
    return bool(words.from_regions(drawn, config) or words.examples_in(drawn, config))


def find(
    drawn: Sequence[Any],
    task: Task,
    config: LabelingConfig,
    model: Model,
    context: Context,
    *,
    project: int | None,
) -> Prediction:
    """The regions of all that was asked for, with the words, so that the editor keeps them; and those of clicks and
    boxes beside it. Raises ServiceErrors."""
    wanted = words.from_regions(drawn, config)
    regions: list[Region] = []
    scores: list[float] = []
    for sought in _sought(wanted, words.examples_in(drawn, config), task, config):
        name = None if task.id is None else (project, task.id, sought.place, "words")
        hurry = Hurry(Turn(Priority.CLICK_ENCODE, supersedes=name, since=came()))
        for mask, prompt, note in on_picture(sought, task, config, model, context, hurry=hurry):
            with stage("regions"):
                regions += results.to_regions([mask], prompt, note)
            scores.append(mask.trust)
    unlabelled = tuple(
        dict.fromkeys(phrase.lacking for one in wanted for phrase in one.phrases if phrase.lacking)
    )
    clicked = words.without(drawn, config)
    beside = clicks.segment(clicked, task, config, model, context, project=project)
    return Prediction(
        [*regions, *beside.result, *(one.written for one in wanted)],
        min((*scores, *(() if beside.score is None else (beside.score,))), default=None),
        model.version,
        beside.left_out,
        unlabelled,
    )


def on_picture(
    sought: Search, task: Task, config: LabelingConfig, model: Model, context: Context, *, hurry: Hurry
) -> Iterator[tuple[Mask, RegionPrompt, str]]:
    """The objects of one picture, each once, the best rated first, with the prompt that its regions answer and what
    there is to say of the picture. Raises ServiceErrors."""
    tag, index = sought.place
    shown = picture(task, sought.place, context)
    for mask, box, label, name in seen_on(shown, sought, config.options(tag.name), model, context, hurry):
        size = Size(*mask.bitmap.shape)
        yield mask, words.prompt(box, size, tag, index, label, config, name), shown.note


def seen_on(  # noqa: PLR0917  each is what a search needs
    shown: Picture, sought: Search, options: Options, model: Model, context: Context, hurry: Hurry
) -> Iterator[Seen]:
    """The objects of a picture, each once, the best rated first. Raises ServiceErrors."""
    finder, segmenter = context.words.get(hurry.before_each_turn), context.segmenter()
    before_each_turn = hurry.before_each_turn or (lambda: None)
    looked = finder.look(shown, hurry.turn.priority)
    asked = _asked(sought, looked.size)
    least = options.score_threshold if "score_threshold" in options.given else None
    boxes = finder.boxes(
        looked,
        [question for _, question in asked],
        least=least,
        turn=hurry.turn,
        before_each_turn=before_each_turn,
    )
    if not boxes:
        return
    embedded = segmenter.embed(shown, hurry.turn.priority)
    looking = Looking(segmenter, model, shown, embedded, options.zoom, hurry.turn, before_each_turn)
    with room_for_masks(embedded.size):
        for mask, found in finder.objects(looking, boxes, most=options.regions):
            label, question = asked[found.question]
            yield Seen(mask, found.box, label, f"words: {question.words or label}")


def _sought(
    wanted: Sequence[words.Wanted], examples: Sequence[Drawn], task: Task, config: LabelingConfig
) -> list[Search]:
    """By picture: the words for a list of pictures are for each, unless they name one."""
    phrases: dict[Place, list[Phrase]] = {}
    boxes: dict[Place, list[Drawn]] = {}
    for one in wanted:
        indices = one.on.places(task.data) if one.item_index is None else (one.item_index,)
        for index in indices:
            phrases.setdefault((one.on, index), []).extend(one.phrases)
    for example in examples:
        boxes.setdefault((config.object(example.to_name), example.item_index), []).append(example)
    return [
        Search(place, tuple(phrases.get(place, ())), tuple(boxes.get(place, ())))
        for place in dict.fromkeys([*phrases, *boxes])
    ]


def _asked(sought: Search, size: Size) -> list[tuple[str | None, Question]]:
    """A question for each phrase, and one for the examples of each label: what is like another label's isn't meant."""
    by_label: dict[tuple[str, ...], list[Box]] = {}
    for example in sought.drawn:
        box = clipped(hull(rectangle_corners(example.value, size)), size)
        if box is not None:
            by_label.setdefault(example.labels, []).append(box)
    of_words = [(phrase.label, Question(phrase.words)) for phrase in sought.phrases]
    of_boxes = [
        (next(iter(labels), None), Question(boxes=tuple(boxes))) for labels, boxes in by_label.items()
    ]
    alike = [(label, Question(example=example)) for label, example in sought.examples.items()]
    return [*of_words, *of_boxes, *alike]
