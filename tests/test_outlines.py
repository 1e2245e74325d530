from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.geometry import Ellipse, ellipse_to_mask, iou, rotated_corners
from label_studio_sam2.outlines import mask_to_ellipse, mask_to_outline, polygons_to_mask
from label_studio_sam2.types import Bitmap, Box, Size

SIZE = Size(200, 300)

noise = st.builds(
    lambda rows, columns, block, seed, share: np.kron(
        np.random.default_rng(seed).random((rows, columns)) < share, np.ones((block, block), np.bool_)
    ),
    st.integers(1, 8),
    st.integers(1, 8),
    st.sampled_from([4, 7]),
    st.integers(0, 2**32),
    st.sampled_from([0.2, 0.5, 0.8]),
)


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


@given(noise)
def test_blocks_are_outlined_exactly_with_parts_and_holes(bitmap: Bitmap) -> None:
    outline = mask_to_outline(bitmap, 10_000)
    assert outline.iou == 1
    assert np.array_equal(polygons_to_mask(list(outline.polygons), Size(*bitmap.shape)), bitmap)
    assert sum(map(area, outline.polygons)) == pytest.approx(np.count_nonzero(bitmap))


@given(noise, st.integers(0, 20), st.integers(0, 20))
def test_outlines_move_with_the_mask(bitmap: Bitmap, down: int, right: int) -> None:
    moved = mask_to_outline(np.pad(bitmap, ((down, 0), (right, 0))), 60)
    still = mask_to_outline(bitmap, 60)
    assert len(moved.polygons) == len(still.polygons)
    for there, here in zip(moved.polygons, still.polygons, strict=True):
        assert there == pytest.approx(np.add(here, (right, down)))


@given(noise, st.integers(3, 60))
def test_the_budget_holds_but_for_the_largest_part(bitmap: Bitmap, budget: int) -> None:
    outline = mask_to_outline(bitmap, budget)
    assert outline.vertices <= max(budget, 4)
    assert 0 <= outline.iou <= 1


@given(noise)
def test_the_stated_overlap_is_that_of_the_polygons(bitmap: Bitmap) -> None:
    outline = mask_to_outline(bitmap, 12)
    drawn = polygons_to_mask(list(outline.polygons), Size(*bitmap.shape))
    assert outline.iou == pytest.approx(iou(drawn, bitmap))


def test_the_largest_part_comes_first() -> None:
    bitmap = np.zeros(SIZE, np.bool_)
    bitmap[5:10, 5:10] = bitmap[50:150, 50:250] = True
    large, small = mask_to_outline(bitmap, 100).polygons
    assert sorted(map(tuple, large.tolist())) == [(50, 50), (50, 150), (250, 50), (250, 150)]
    assert area(small) == 25


def test_a_smooth_shape_needs_few_corners() -> None:
    outline = mask_to_outline(ellipse_to_mask(Ellipse(150, 100, 120, 70, 20), SIZE), 100)
    assert outline.vertices < 60
    assert outline.iou > 0.985


def test_more_corners_follow_the_mask_more_closely() -> None:
    down, across = np.mgrid[-100:100, -150:150]
    star = np.hypot(down, across) < 60 + 20 * np.sin(9 * np.arctan2(down, across))
    overlaps = [mask_to_outline(star, budget).iou for budget in (10, 30, 90)]
    assert overlaps == sorted(overlaps)
    assert overlaps[-1] > 0.98


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (1, 1)])
def test_a_line_and_a_pixel_have_an_outline(shape: tuple[int, int]) -> None:
    bitmap = np.zeros(SIZE, np.bool_)
    bitmap[10 : 10 + shape[0], 10 : 10 + shape[1]] = True
    assert mask_to_outline(bitmap, 100).iou == 1


def test_a_slanted_line_has_an_outline() -> None:
    outline = mask_to_outline(np.eye(100, dtype=np.bool_), 100)
    assert outline.vertices <= 100
    assert outline.polygons


def test_an_empty_mask_has_no_polygons_and_no_ellipse() -> None:
    empty = np.zeros(SIZE, np.bool_)
    assert mask_to_outline(empty, 100).polygons == ()
    assert mask_to_ellipse(empty) is None


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 300), st.floats(1, 300), st.floats(0, 360))
def test_only_pixels_whose_centre_is_inside_are_filled(
    x: float, y: float, width: float, height: float, degrees: float
) -> None:
    ring = rotated_corners(Box(x, y, x + width, y + height), degrees)
    down, across = np.mgrid[: SIZE.height, : SIZE.width] + 0.5
    depth = np.full(SIZE, np.inf)
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        line = (x1 - x0) * (down - y0) - (y1 - y0) * (across - x0)
        depth = np.minimum(depth, line / np.hypot(x1 - x0, y1 - y0))
    on_an_edge = np.abs(depth) < 1e-6
    assert np.array_equal(polygons_to_mask([ring], SIZE) | on_an_edge, (depth > 0) | on_an_edge)


@pytest.mark.parametrize("far", [1e6, 1e18, 1e300])
def test_corners_far_outside_fill_what_they_enclose(far: float) -> None:
    assert polygons_to_mask([np.array([(-far, -far), (far, -far), (far, far), (-far, far)])], SIZE).all()


@given(st.floats(120, 180), st.floats(90, 110), st.floats(40, 70), st.floats(15, 35), st.floats(-89, 89))
def test_an_ellipse_comes_back_from_its_mask(
    x: float, y: float, long: float, short: float, rotation: float
) -> None:
    found = mask_to_ellipse(ellipse_to_mask(Ellipse(x, y, long, short, rotation), SIZE))
    assert found is not None
    assert found[:4] == pytest.approx((x, y, long, short), abs=1.0)
    assert abs((found.rotation - rotation + 90) % 180 - 90) < 4


def test_an_ellipse_has_the_mask_s_area_moments_not_its_hull() -> None:
    ring = ellipse_to_mask(Ellipse(150, 100, 80, 80), SIZE)
    hole = ring & ~ellipse_to_mask(Ellipse(150, 100, 60, 60), SIZE)
    found = mask_to_ellipse(hole)
    assert found is not None
    assert (found.x, found.y) == pytest.approx((150, 100), abs=0.01)
    assert found.radius_x == pytest.approx((80**2 + 60**2) ** 0.5, rel=0.01)
