"""How much of a tuning generality bears, chosen on some generic scenes and judged on others.

What is chosen by a measurement looks better in it than it is. So the scenes by which is chosen how far the decoder
moves have no say in whether it may be used, and those that judge have none in how far it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from torch import nn

from label_studio_sam2.engine.measuring import Example
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning import between
from label_studio_sam2.gate import MOST_LOSS, Change, IoUs
from label_studio_sam2.scenes import Part, scenes
from label_studio_sam2.types import Picture

HALVINGS = 4
"""How finely is sought how far the decoder may move: to a sixteenth of the way."""

Measure = Callable[[Model, Sequence[Example]], IoUs]
"""What a model answers; see `engine.measuring.measure`."""


def examples(part: Part, side: int, most: int | None = None) -> list[Example]:
    """The objects of one part of the generic scenes, or of its first `most`, on the square of a model with this
    side."""
    found: list[Example] = []
    for scene in islice(scenes(part), most):
        picture = Picture(scene.digest, lambda pixels=scene.pixels: pixels)  # type: ignore[misc]
        made = (Example.of(picture, mask, side, scene.digest) for mask in scene.masks)
        found += [example for example in made if example is not None]
    return found


def bearable(base: Model, tuned: nn.Module, choosing: Sequence[Example], measure: Measure) -> Model:
    """The base with as much of a tuned decoder as surely loses no more than is allowed on these examples; with the
    least of it where that is too much, too."""
    before = measure(base, choosing)
    groups = [example.group for example in choosing]

    def moved(share: float) -> Model:
        return base.tuned(between(base.decoder, tuned, share), "candidate")

    def bears(share: float) -> bool:
        loss = Change.of((before - measure(moved(share), choosing)).mean(axis=1), groups)
        return loss.gain + loss.noise <= MOST_LOSS

    if bears(1.0):
        return moved(1.0)
    borne, too_far = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (borne + too_far) / 2
        borne, too_far = (middle, too_far) if bears(middle) else (borne, middle)
    return moved(borne or too_far)


def lost(base: Model, version: Model, judging: Sequence[Example], measure: Measure) -> float:
    """The mean IoU that a version loses on these examples, over all prompts."""
    return float((measure(base, judging) - measure(version, judging)).mean())
