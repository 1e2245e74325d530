"""Drawn scenes: the same for the same seed, with masks that are true to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from demo_model.scenes import draw_scene
from demo_model.shapes import Difficulty
from demo_model.textures import FAMILIES

DIFFICULTIES: tuple[Difficulty, ...] = ("plain", "hard")


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_seed_gives_the_same_picture_twice(difficulty: Difficulty) -> None:
    first, second = (draw_scene(5, difficulty=difficulty, width=200, height=150) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.masks, second.masks)


def test_another_seed_or_split_gives_another_picture() -> None:
    held_out = draw_scene(5)
    assert not np.array_equal(held_out.image, draw_scene(6).image)
    assert not np.array_equal(held_out.image, draw_scene(5, split="training").image)


def test_the_splits_share_no_surface() -> None:
    training = {name for (split, _), names in FAMILIES.items() if split == "training" for name in names}
    held_out = {name for (split, _), names in FAMILIES.items() if split == "held_out" for name in names}
    assert not training & held_out


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
@pytest.mark.parametrize("seed", range(6))
def test_masks_are_visible_and_do_not_overlap(seed: int, difficulty: Difficulty) -> None:
    scene = draw_scene(seed, difficulty=difficulty, width=240, height=180)
    assert scene.image.shape == (180, 240, 3)
    assert scene.masks.shape[1:] == (180, 240)
    assert len(scene.masks) >= 1
    assert scene.masks.sum(axis=0).max() == 1
    assert scene.masks.mean(axis=(1, 2)).min() >= 0.002


def test_the_arrangement_is_the_same_at_every_size() -> None:
    small = draw_scene(3, width=160, height=120)
    large = draw_scene(3, width=800, height=600)
    assert large.image.shape == (600, 800, 3)
    assert len(small.masks) == len(large.masks)
    shrunk = large.masks[:, 2::5, 2::5]
    overlap = (shrunk & small.masks).sum(axis=(1, 2)) / (shrunk | small.masks).sum(axis=(1, 2))
    assert overlap.min() > 0.85


def test_plain_objects_stand_out_from_the_background() -> None:
    for seed in range(8):
        scene = draw_scene(seed)
        background = scene.image[scene.labels == 0].mean(axis=0)
        for mask in scene.masks:
            assert np.abs(scene.image[mask].mean(axis=0) - background).max() > 12
