from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from label_studio_sam2 import demo as shipped
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.geometry import iou, tight_box
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap, Prompt

from tests.fakes.networks import demo_model
from tests.fakes.stock import initial_state, prompt_with, propagated

FRAMES = 12
TRUTH = shipped.sample_clip_masks()
NAMES = {"first": 0, "second": 1}
ALIKE = 0.95

Masks = dict[tuple[int, str], Bitmap]


def prompts() -> Mapping[str, Mapping[int, Prompt]]:
    return {name: {0: Prompt(box=tight_box(TRUTH[0, thing]))} for name, thing in NAMES.items()}


def ours(model: Model, cache: EmbeddingCache | None = None) -> Masks:
    segmenter = Segmenter(model, cache or EmbeddingCache(0), Lane(decodes_apart=model.device.type != "mps"))
    targets = {name: Target(by, range(FRAMES)) for name, by in prompts().items()}
    try:
        tracked = segmenter.track(model, Video.open(shipped.SAMPLE_CLIP), "clip", targets)
        return {(one.frame, one.object_id): one.bitmap for masks in tracked for one in masks}
    finally:
        segmenter.close()


def alike(found: Masks, expected: Masks) -> float:
    """The mean IoU of masks of any size."""
    assert found.keys() == expected.keys()
    large = [key for key, mask in expected.items() if mask.sum() > 200]
    assert large
    return float(np.mean([iou(found[key], expected[key]) for key in large]))


def test_masks_are_the_stock_predictors_on_the_same_device(demo: Model) -> None:
    video, dtype = Video.open(shipped.SAMPLE_CLIP), demo.encoder_dtype if demo.device.type == "cuda" else None
    cast = nullcontext() if dtype is None else torch.autocast(demo.device.type, dtype)
    with torch.inference_mode(), cast:
        state = initial_state(demo.network, list(video.frames(range(FRAMES))))
        prompt_with(demo.network, state, prompts())
        stock = propagated(demo.network, state)
    assert alike(ours(demo), stock) >= ALIKE


def test_masks_are_the_cpus_but_for_their_edges(demo: Model) -> None:
    assert alike(ours(demo), ours(demo_model())) >= ALIKE


def test_masks_do_not_depend_on_which_frames_are_kept(demo: Model) -> None:
    cache = EmbeddingCache(1 << 28)
    fresh, first, again = ours(demo), ours(demo, cache), ours(demo, cache)
    assert cache.stats().frames == FRAMES
    for key, bitmap in fresh.items():
        assert np.array_equal(bitmap, first[key])
        assert np.array_equal(bitmap, again[key])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_of_either_kind_follows_the_objects(demo: Model, dtype: torch.dtype) -> None:
    if demo.device.type != "cuda":
        pytest.skip("tracking is in half precision on a GPU only")
    halved = replace(demo, encoder_dtype=dtype, network=copy.copy(demo.network))
    assert alike(ours(halved), ours(demo_model())) >= ALIKE
