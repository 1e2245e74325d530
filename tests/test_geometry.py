from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.geometry import (
    Ellipse,
    changes,
    clipped,
    ellipse_to_mask,
    hull,
    iou,
    percent_to_pixels,
    pixels_to_percent,
    rotated_corners,
    tight_box,
)
from label_studio_sam2.types import Bitmap, Box, Size

sizes = st.builds(Size, st.integers(1, 9000), st.integers(1, 9000))
coordinates = st.floats(-200, 200)


@given(coordinates, coordinates, sizes)
def test_percent_and_pixels_are_each_other_s_inverse(x: float, y: float, size: Size) -> None:
    assert pixels_to_percent(percent_to_pixels((x, y), size), size) == pytest.approx((x, y), abs=1e-9)


def test_a_hundred_percent_is_the_far_corner() -> None:
    assert percent_to_pixels([(100, 100), (50, 0)], Size(600, 800)).tolist() == [[800, 600], [400, 0]]


boxes = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), coordinates, coordinates, *[st.floats(0.1, 200)] * 2
)


@given(boxes, st.floats(-720, 720))
def test_turning_keeps_the_top_left_corner_the_sides_and_a_full_turn(box: Box, degrees: float) -> None:
    corners = rotated_corners(box, degrees)
    assert corners[0] == pytest.approx((box.x0, box.y0))
    sides = np.hypot(*np.diff(corners, axis=0).T)
    assert sides == pytest.approx([box.x1 - box.x0, box.y1 - box.y0, box.x1 - box.x0])
    assert corners == pytest.approx(rotated_corners(box, degrees + 360), abs=1e-6)


def test_turning_is_clockwise_on_the_screen() -> None:
    corners = rotated_corners(Box(10, 10, 30, 20), 90)
    assert corners == pytest.approx(np.array([(10, 10), (10, 30), (0, 30), (0, 10)]))


@given(boxes)
def test_the_hull_of_an_upright_box_is_itself(box: Box) -> None:
    assert hull(rotated_corners(box, 0)) == pytest.approx(box)


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        (Box(-5, -5, 5, 5), Box(0, 0, 5, 5)),
        (Box(90, 40, 120, 60), Box(90, 40, 100, 50)),
        (Box(10, 10, 20, 20), Box(10, 10, 20, 20)),
        (Box(100, 0, 120, 10), None),
        (Box(0, -10, 10, 0), None),
        (Box(5, 5, 5, 10), None),
    ],
)
def test_a_box_is_clipped_to_the_picture(box: Box, inside: Box | None) -> None:
    assert clipped(box, Size(50, 100)) == inside


bitmaps = st.builds(
    lambda rows, columns, seed, share: np.random.default_rng(seed).random((rows, columns)) < share,
    st.integers(1, 12),
    st.integers(1, 12),
    st.integers(0, 2**32),
    st.sampled_from([0.05, 0.3, 0.7]),
)


@given(bitmaps)
def test_a_tight_box_holds_every_pixel_and_no_empty_edge(bitmap: Bitmap) -> None:
    box = tight_box(bitmap)
    if box is None:
        assert not bitmap.any()
        return
    inside = bitmap[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
    assert np.count_nonzero(inside) == np.count_nonzero(bitmap)
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(bitmaps)
def test_iou_is_one_with_itself_and_zero_with_the_rest(bitmap: Bitmap) -> None:
    assert iou(bitmap, bitmap) == 1
    assert iou(bitmap, ~bitmap) == 0


def test_iou_counts_pixels() -> None:
    one, other = np.array([[1, 1, 0]], np.bool_), np.array([[0, 1, 1]], np.bool_)
    assert iou(one, other) == pytest.approx(1 / 3)
    assert iou(np.zeros((2, 2), np.bool_), np.zeros((2, 2), np.bool_)) == 1


@given(st.floats(30, 70), st.floats(30, 70), st.floats(8, 25), st.floats(8, 25), st.floats(-180, 180))
def test_an_ellipse_covers_its_area(
    x: float, y: float, radius_x: float, radius_y: float, rotation: float
) -> None:
    mask = ellipse_to_mask(Ellipse(x, y, radius_x, radius_y, rotation), Size(100, 100))
    assert np.count_nonzero(mask) == pytest.approx(math.pi * radius_x * radius_y, rel=0.06)


@pytest.mark.parametrize(
    "ellipse", [Ellipse(500, 500, 10, 10), Ellipse(50, 50, 0, 10), Ellipse(50, 50, 10, -1)]
)
def test_an_ellipse_elsewhere_or_without_area_covers_nothing(ellipse: Ellipse) -> None:
    assert not ellipse_to_mask(ellipse, Size(100, 100)).any()


@given(bitmaps)
def test_changes_are_where_a_pixel_differs_from_the_one_before(bitmap: Bitmap) -> None:
    flat = bitmap.reshape(-1)
    assert changes(bitmap).tolist() == [at for at in range(1, flat.size) if flat[at] != flat[at - 1]]
