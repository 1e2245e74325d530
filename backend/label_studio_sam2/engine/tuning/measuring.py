"""How well a model answers prompts on pictures whose true masks are known.

The decoder is asked as a click asks it: the candidate that it rates highest, earlier logits fed back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.image import decoding
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap, PackedMask, Picture, Point, Prompt, Size

IoUs = NDArray[np.float64]
"""(examples, kinds of prompt)."""


@dataclass(frozen=True, slots=True)
class Example:
    """An object on a picture: its true mask on the model's square (side x side), which task it belongs to, how
    much it counts in training beside others, and its label."""

    picture: Picture
    mask: PackedMask
    group: str
    weight: float = 1.0
    label: str = ""

    @classmethod
    def of(cls, picture: Picture, mask: Bitmap, side: int, group: str, weight: float = 1.0) -> Example | None:
        """From a mask of the picture's size; None where nothing of it is left at the model's size."""
        square = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) >= 0.5
        return cls(picture, PackedMask.of(square), group, weight) if square.any() else None


Ask = Callable[[Prompt, NDArray[np.float32] | None], tuple[Bitmap, NDArray[np.float32]]]
"""A prompt and the logits that it extends -> the mask that is answered, and its logits."""

Kind = Callable[[Bitmap, Ask], Bitmap]
"""A way to ask for an object whose mask is known: the mask that is answered in the end."""


def one_click(truth: Bitmap, ask: Ask) -> Bitmap:
    return ask(Prompt((prompting.click(truth),)), None)[0]


def three_clicks(truth: Bitmap, ask: Ask) -> Bitmap:
    """A click and up to two corrections."""
    points: tuple[Point, ...] = (prompting.click(truth),)
    answered, logits = ask(Prompt(points), None)
    for _ in range(2):
        wrong = prompting.correction(truth, answered)
        if wrong is None:
            break
        points = (*points, wrong)
        answered, logits = ask(Prompt(points), logits)
    return answered


def tight_box(truth: Bitmap, ask: Ask) -> Bitmap:
    return ask(Prompt(box=prompting.box(truth)), None)[0]


KINDS: Mapping[str, Kind] = {"one click": one_click, "three clicks": three_clicks, "box": tight_box}


GoOn = Callable[[], bool]
"""Asked before each example whether there is time for it; may raise to break off."""


def always() -> bool:
    return True


def measure(
    segmenter: Segmenter,
    model: Model,
    examples: Sequence[Example],
    kinds: Sequence[Kind] = tuple(KINDS.values()),
    go_on: GoOn = always,
) -> IoUs:
    """The IoU of each example with each kind of prompt: of all, or of those that came before `go_on` answered False."""
    answers = masks_answered(segmenter, model, examples, kinds, go_on)
    rows = [
        [iou(example.mask.bitmap(), answer) for answer in row]
        for example, row in zip(examples, answers, strict=False)
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(kinds))


def agreement(
    segmenter: Segmenter,
    models: tuple[Model, Model],
    examples: Sequence[Example],
    kinds: Sequence[Kind],
    go_on: GoOn = always,
) -> IoUs:
    """The IoU of what two models answer to the same prompts, whatever the truth; of as many as `measure` does."""
    both = (masks_answered(segmenter, model, examples, kinds, go_on) for model in models)
    rows = [list(map(iou, *answers)) for answers in zip(*both, strict=False)]
    return np.array(rows, np.float64).reshape(len(rows), len(kinds))


def masks_answered(
    segmenter: Segmenter,
    model: Model,
    examples: Sequence[Example],
    kinds: Sequence[Kind],
    go_on: GoOn = always,
) -> Iterator[list[Bitmap]]:
    """For each example what is answered to each kind of prompt, on the model's square."""
    for example in examples:
        if not go_on():
            return
        embedding = segmenter.embed(example.picture, Priority.TUNING).embedding
        ask = _asking(segmenter, model.of((example.label,)), embedding)
        yield [kind(example.mask.bitmap(), ask) for kind in kinds]


def _asking(segmenter: Segmenter, model: Model, embedding: Embedding) -> Ask:
    side = model.image_size
    square = replace(embedding, size=Size(side, side))
    prepared = segmenter.lane.run(Turn(Priority.TUNING), lambda: decoding.prepare(model, square))

    def ask(prompt: Prompt, previous: NDArray[np.float32] | None) -> tuple[Bitmap, NDArray[np.float32]]:
        decoded = segmenter.lane.run(
            Turn(Priority.TUNING), lambda: decoding.decode(prepared, prompt, previous)
        )
        return cv2.resize(decoded.logits[0], (side, side)) > 0, decoded.logits[0]

    return ask
