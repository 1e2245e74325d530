"""How far masks lie off: known of a moved mask, small of the shipped model."""

from __future__ import annotations

import numpy as np
import pytest
from label_studio_sam2 import demo

from demo_model.disc_evaluation import Disc, draw_disc_clip, evaluate_discs
from demo_model.evaluate import load


def test_a_moved_mask_lies_off_by_as_much() -> None:
    disc = Disc(120.4, 90.7, 40.0)
    mask = disc.draw(np.full(3, 255.0), np.zeros(3), (512, 256))[..., 0] >= 128
    assert np.abs(disc.offset(mask)).max() < 0.1
    moved = np.roll(mask, (-1, 3), axis=(0, 1))  # by rows and columns
    assert np.allclose(disc.offset(moved) - disc.offset(mask), (3 * 1024 / 512, -1 * 1024 / 256))


@pytest.mark.parametrize("seed", range(5))
def test_discs_are_whole_in_every_frame(seed: int) -> None:
    clip = draw_disc_clip(seed, frames=4)
    assert len(clip.frames) == len(clip.discs) == 4
    for disc, frame in zip(clip.discs, clip.frames, strict=True):
        height, width = frame.shape[:2]
        left, top, right, bottom = disc.box
        assert min(left, top, width - right, height - bottom) >= 0
        inside, outside = frame[int(disc.y), int(disc.x)].astype(int), frame[0, 0].astype(int)
        assert np.abs(inside - outside).max() > 12


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
@pytest.mark.slow
def test_the_shipped_model_puts_masks_on_their_objects() -> None:
    figures = evaluate_discs(load(demo.CHECKPOINT), pictures=40, clips=0)
    for prompt, axes in figures.items():
        for axis, offset in axes.items():
            assert abs(offset.mean) < 0.5 + 2 * offset.error, (prompt, axis)
