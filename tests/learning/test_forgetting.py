from __future__ import annotations

import copy
from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.measuring import Example, IoUs
from label_studio_sam2.learning.forgetting import World, bearable, examples, lost
from label_studio_sam2.learning.gate import MOST_LOSS
from label_studio_sam2.learning.scenes import PARTS, scenes
from label_studio_sam2.types import PackedMask, Picture
from torch import nn

from tests.fakes.networks import demo_model

OBJECTS = [
    Example(
        Picture(str(n), lambda: np.zeros((8, 8, 3), np.uint8)), PackedMask.of(np.ones((8, 8), bool)), str(n)
    )
    for n in range(20)
]


def tuned() -> nn.Module:
    """The demo model's decoder with one weight moved by 1, so that it tells how far another one has moved."""
    moved: nn.Module = copy.deepcopy(demo_model().decoder)
    moved.iou_token.weight.data[0, 0] += 1  # type: ignore[union-attr, operator]
    return moved


def share(model: Model) -> float:
    weights = (one.decoder.iou_token.weight[0, 0] for one in (model, demo_model()))
    now, before = map(float, weights)
    return round(now - before, 2)


class Measured:
    """Where each model's IoU falls by so much on its way, and differently on each object."""

    def __init__(self, loss: float, spread: float = 0.0) -> None:
        self._loss, self._spread = loss, spread

    def __call__(self, model: Model, objects: Sequence[Example]) -> IoUs:
        chance = self._spread * np.resize([1.0, -1.0], len(objects))
        return np.repeat(0.9 - share(model) * (self._loss + chance)[:, None], 3, axis=1)


@pytest.mark.parametrize(
    ("loss", "borne"), [(0.0, 1.0), (0.0074, 1.0), (0.01, 0.7), (0.02, 0.3), (-0.1, 1.0), (1.0, 0.1)]
)
def test_a_decoder_moves_as_far_as_loses_less_than_is_allowed(loss: float, borne: float) -> None:
    measured = Measured(loss, 0.03)
    world = World(lambda model: lost(demo_model(), model, OBJECTS, measured), MOST_LOSS)
    assert share(bearable(demo_model(), tuned(), [world])) == borne


def test_a_decoder_moves_only_as_far_as_every_world_bears() -> None:
    worlds = [World(lambda model, by=by: share(model) * by, 1.0) for by in (0.8, 1.4, 0.1)]  # type: ignore[misc]
    assert share(bearable(demo_model(), tuned(), worlds)) == 0.5
    assert share(bearable(demo_model(), tuned(), [])) == 1.0


def test_what_is_lost_is_the_mean_over_objects_and_prompts() -> None:
    version = demo_model().tuned(tuned(), "v")
    assert lost(demo_model(), version, OBJECTS, Measured(0.03, 0.02)) == pytest.approx(0.03)


def test_no_scene_both_chooses_and_judges_or_is_rehearsed_too() -> None:
    digests = [scene.digest for part in PARTS for scene in scenes(part)]
    pixels = {scene.pixels.tobytes() for part in PARTS for scene in scenes(part)}
    assert len(digests) == len(set(digests)) == len(pixels) == 80


def test_a_few_scenes_are_the_first_ones() -> None:
    few = examples("judging", 256, most=2)
    assert len({example.group for example in few}) == 2
    assert [one.group for one in few] == [one.group for one in examples("judging", 256)][: len(few)]


def test_no_generic_object_has_a_hole_for_that_is_what_projects_differ_in() -> None:

    for part in PARTS:
        for scene in scenes(part):
            for mask in scene.masks:
                _, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
                assert (tree[0, :, 3] < 0).all()
