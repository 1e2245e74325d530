from __future__ import annotations

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.image import decoding, encoding
from label_studio_sam2.engine.image.encoding import owned, preprocess, ready
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.image.upsampling import upsample
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap, Box, Picture, Pixels, Point, Prompt, Size
from sam2.sam2_image_predictor import SAM2ImagePredictor

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model

PROMPTS = [
    Prompt((Point(300.5, 200.25),)),
    Prompt((), Box(100, 50, 420, 390)),
    Prompt((Point(300, 200), Point(20, 30, positive=False), Point(340, 220))),
]
EDGE = 1e-4
"""The share of pixels that may differ where all is computed in float32: those whose logit is next to nothing."""

ALIKE = 0.97
"""IoU of masks on two devices that compute the features in different types."""

CLEAR = 64 * 64
"""Pixels of a mask below which an edge is too much of it."""


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return draw_scene(3, width=640, height=480).image


def masks(model: Model, pixels: Pixels) -> list[Bitmap]:
    with torch.inference_mode():
        embedding = encoding.encode(model, pixels, np.float32)
        prepared = decoding.prepare(model, embedding)
        return [upsample(decoding.decode(prepared, one).logits[0], embedding.size) for one in PROMPTS]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_masks_are_the_stock_predictors_on_the_same_device(exact: Model, picture: Pixels) -> None:
    predictor = SAM2ImagePredictor(exact.network)
    predictor._bb_feat_sizes = [(exact.image_size // stride,) * 2 for stride in (4, 8, 16)]
    with torch.inference_mode():
        predictor.set_image(picture)
        for prompt, ours in zip(PROMPTS, masks(exact, picture), strict=True):
            stock, scores, _ = predictor.predict(
                point_coords=np.array([point[:2] for point in prompt.points]) if prompt.points else None,
                point_labels=np.array([point.positive for point in prompt.points], int)
                if prompt.points
                else None,
                box=np.array(prompt.box) if prompt.box else None,
                multimask_output=prompt.ambiguous,
            )
            assert np.mean(ours != (stock[np.argmax(scores)] > 0)) <= EDGE


def test_masks_are_the_cpus_but_for_their_edges(demo: Model, picture: Pixels) -> None:
    for ours, theirs in zip(masks(demo, picture), masks(demo_model(), picture), strict=True):
        assert theirs.sum() < CLEAR or iou(ours, theirs) >= ALIKE


@pytest.mark.parametrize("size", [Size(480, 640), Size(77, 1001), Size(3000, 4000)])
def test_a_picture_becomes_the_same_square_on_the_device(device: torch.device, size: Size) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    there = preprocess(torch.from_numpy(pixels).to(device), 1024)
    torch.testing.assert_close(there.cpu(), preprocess(pixels, 1024), rtol=0, atol=2e-5)


def test_a_batch_of_pictures_is_what_they_are_one_by_one(model: Model) -> None:
    pictures = [draw_scene(seed, width=320, height=240).image for seed in range(4)]
    with torch.inference_mode():
        together = encoding.encode_all(model, [ready(model, one) for one in pictures], np.float32)
        alone = [encoding.encode(model, one, np.float32) for one in pictures]
    within = 2e-4 if model.encoder_dtype is None else 0.06
    for one, other in zip(map(owned, together), alone, strict=True):
        for level, same in zip(one.features, other.features, strict=True):
            scale = float(np.abs(same).max())
            assert float(np.abs(level - same).max()) <= within * scale


def test_everything_finds_what_is_found_on_the_cpu(segmenter: Segmenter, picture: Pixels) -> None:
    grid = Grid.of(Size(*picture.shape[:2]), demo_model())
    drawn = Picture("drawn", lambda: picture)
    found = segmenter.everything(segmenter.model, drawn, segmenter.embed(drawn), grid=grid)
    assert found
    truth = draw_scene(3, width=640, height=480).masks
    here = [one.bitmap(Size(*picture.shape[:2])) for one in found]
    large = [mask for mask in truth if mask.sum() >= CLEAR]
    hit = sum(max(iou(mask, one) for one in here) >= 0.7 for mask in large)
    assert hit >= len(large) / 2
