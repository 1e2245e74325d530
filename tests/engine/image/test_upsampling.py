"""Masks at the picture's size, against torch's own interpolation."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from label_studio_sam2.engine.image.upsampling import TILE, upsample
from label_studio_sam2.types import Size


@settings(max_examples=40, deadline=None)
@example(seed=0, height=276, width=66, side=256, spread=20.0)  # where OpenCV's own rounding tips a pixel
@example(seed=0, height=40, width=TILE + 300, side=64, spread=1.0)
@example(seed=0, height=TILE + 300, width=1, side=64, spread=1.0)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 700),
    width=st.integers(1, 700),
    side=st.sampled_from([64, 256]),
    spread=st.sampled_from([1e-4, 1.0, 20.0]),
)
def test_upsampling_equals_torchs_in_every_pixel(
    seed: int, height: int, width: int, side: int, spread: float
) -> None:
    logits = (
        np.random.default_rng(seed).normal(scale=spread, size=(side, side)).astype(np.float32).clip(-32, 32)
    )
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None, None], (height, width), mode="bilinear", align_corners=False
    )
    assert np.array_equal(upsample(logits, Size(height, width)), (full[0, 0] > 0).numpy())
