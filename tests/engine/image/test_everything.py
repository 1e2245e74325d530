from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.engine.image import decoding, encoding, everything
from label_studio_sam2.engine.image.decoding import Prepared
from label_studio_sam2.engine.image.everything import FoundObject, without_small_regions
from label_studio_sam2.engine.image.grid import Grid, windows
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Pixels, Size
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
from sam2.utils import amg

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model

COARSE = Grid(points_per_side=8, pred_iou_thresh=0.6, stability_score_thresh=0.8)
IN_CROPS = replace(COARSE, crop_n_layers=1, crop_n_points_downscale_factor=2)
OURS = {"min_mask_region_area", "mask_nms_thresh", "zoom_layer"}
"""What the package's generator doesn't do without its CUDA extension, or at all."""


def found_in(pixels: Pixels, grid: Grid, at_once: int = 8) -> list[FoundObject]:
    """What the demo model finds, with embeddings in fp32."""
    model, size = demo_model(), Size(*pixels.shape[:2])

    def prepare(window: Window) -> Prepared:
        part = np.ascontiguousarray(pixels[window.y0 : window.y1, window.x0 : window.x1])
        return decoding.prepare(model, encoding.encode(model, part, np.float32))

    with torch.inference_mode():
        return everything.find(size, grid, prepare, decoding.decode_points, points_at_once=at_once)


def stock_masks(pixels: Pixels, grid: Grid) -> list[dict[str, Any]]:
    """What the package's generator finds; its predictor hard-codes the feature sizes of 1024 px."""
    model = demo_model()
    generator = SAM2AutomaticMaskGenerator(
        model.network,
        points_per_batch=16,
        **{name: getattr(grid, name) for name in Grid.__dataclass_fields__ if name not in OURS},
    )
    side = model.image_size
    generator.predictor._bb_feat_sizes = [(side // stride,) * 2 for stride in (4, 8, 16)]
    masks: list[dict[str, Any]] = generator.generate(pixels)
    return masks


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
@pytest.mark.parametrize(
    ("grid", "size"),
    [(COARSE, Size(240, 320)), (COARSE, Size(211, 307)), (IN_CROPS, Size(240, 320))],
    ids=["a picture", "a picture of odd size", "in crops too"],
)
def test_the_masks_are_those_of_the_packages_generator(grid: Grid, size: Size) -> None:
    pixels = draw_scene(21, width=size.width, height=size.height).image
    ours, stock = found_in(pixels, grid), stock_masks(pixels, grid)
    assert len(ours) == len(stock) > 3
    for one in stock:
        twin = max(ours, key=lambda found: iou(found.bitmap(size), one["segmentation"]))
        assert iou(twin.bitmap(size), one["segmentation"]) >= 0.99
        assert twin.score == pytest.approx(one["predicted_iou"], abs=1e-4)
        assert twin.stability == pytest.approx(one["stability_score"], abs=1e-3)
        assert (twin.point.x, twin.point.y) == pytest.approx(one["point_coords"][0])


def test_how_many_clicks_are_decoded_at_once_changes_nothing() -> None:
    pixels = draw_scene(5, width=160, height=120).image
    one_by_one, together = found_in(pixels, COARSE, 1), found_in(pixels, COARSE, 64)
    assert [found.edges for found in one_by_one] == [found.edges for found in together]


def test_no_two_masks_overlap_by_more_than_is_asked_for_and_the_best_rated_comes_first() -> None:
    pixels, size = draw_scene(21, width=320, height=240).image, Size(240, 320)
    found = found_in(pixels, replace(COARSE, min_mask_region_area=50, mask_nms_thresh=0.3))
    bitmaps = [one.bitmap(size) for one in found]
    overlaps = [iou(one, other) for n, one in enumerate(bitmaps) for other in bitmaps[:n]]
    assert max(overlaps) <= 0.3
    assert [one.overlap(other) for n, one in enumerate(found) for other in found[:n]] == overlaps
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_an_empty_picture_has_no_objects() -> None:
    assert found_in(np.full((120, 160, 3), 128, np.uint8), replace(COARSE, pred_iou_thresh=1.0)) == []


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
    share=st.floats(0.05, 0.95),
    area=st.integers(1, 30),
)
def test_small_holes_and_islands_go_as_in_the_package(
    shape: tuple[int, int], seed: int, share: float, area: int
) -> None:
    bitmap = np.random.default_rng(seed).random(shape) < share
    stock, _ = amg.remove_small_regions(bitmap, area, "holes")
    stock, _ = amg.remove_small_regions(stock, area, "islands")
    if bitmap.any():
        assert np.array_equal(without_small_regions(bitmap, area), stock)


@pytest.mark.parametrize(("layers", "count"), [(0, 1), (1, 5), (2, 21)])
@pytest.mark.parametrize("size", [Size(480, 640), Size(333, 1001)])
def test_crops_are_those_of_the_package(size: Size, layers: int, count: int) -> None:
    grid = Grid(crop_n_layers=layers)
    boxes, their_layers = amg.generate_crop_boxes(size, layers, grid.crop_overlap_ratio)
    ours = windows(size, grid)
    assert len(ours) == count
    assert [(window.layer, list(window[1:])) for window in ours] == list(
        zip(their_layers, boxes, strict=True)
    )
