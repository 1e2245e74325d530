"""How far a decoder moves to what was accepted, so that it forgets no more than is allowed.

What is chosen by a measurement looks better in it than it is. So the examples by which is chosen how far it moves have
no say in whether it may be used, and those that judge have none in how far it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from torch import nn

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.measuring import Example, IoUs
from label_studio_sam2.engine.tuning.tune import between
from label_studio_sam2.engine.turn import OnDevice, at_once
from label_studio_sam2.learning.scenes import Part, scenes
from label_studio_sam2.types import Picture

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""How far the decoder may move, the farthest first."""

AIM = 0.75
"""Of what may be lost, on the examples that choose: others lose more or less by chance, and what was chosen rather
more."""

Measure = Callable[[Model, Sequence[Example]], IoUs]
"""What a model answers; see `engine.measuring.measure`."""


class World(NamedTuple):
    """Something that a version mustn't forget: how much of it a model has lost, and how much it may."""

    lost: Callable[[Model], float]
    most: float

    def bears(self, model: Model) -> bool:
        return self.lost(model) <= AIM * self.most


def examples(part: Part, side: int, most: int | None = None) -> list[Example]:
    """The objects of one part of the drawn scenes, or of its first `most`, on the square of a model with this side."""
    found: list[Example] = []
    for scene in islice(scenes(part), most):
        picture = Picture(scene.digest, lambda pixels=scene.pixels: pixels)  # type: ignore[misc]
        made = (Example.of(picture, mask, side, scene.digest) for mask in scene.masks)
        found += [example for example in made if example is not None]
    return found


def bearable(base: Model, tuned: nn.Module, worlds: Sequence[World], on_device: OnDevice = at_once) -> Model:
    """The base with as much of a tuned decoder as all worlds bear; with the least of it where that is too much, too."""
    for share in SHARES:
        version = base.tuned(on_device(partial(between, base.decoder, tuned, share)), "candidate")
        if all(world.bears(version) for world in worlds):
            break
    return version


def lost(base: Model, version: Model, judging: Sequence[Example], measure: Measure) -> float:
    """The mean IoU that a version loses on these examples, over all prompts."""
    return float((measure(base, judging) - measure(version, judging)).mean())
