from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
import pytest
from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import bitmask_png, brush_rle
from label_studio_sam2.labelstudio.regions.results import to_regions
from label_studio_sam2.labelstudio.regions.values import mask_from_value, shape_of
from label_studio_sam2.types import Mask, Size

from tests.fakes.regions import SIZE, config, disc, labelled, recorded, unnamed

ACCEPTED = [
    "out_bitmask_rgba_accepted_result",
    "out_brush_accepted_result",
    "out_brush_maskDataURL_accepted",
    "out_brush_plus_rect_accepted_result",
    "out_ellipse_accepted_result",
    "out_rectangle_accepted_result",
    "out_sep_bitmask_only_accepted",
    "out_sep_brush_only_accepted",
    "out_sep_two_results_accepted",
    "out_vector_accepted_result",
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_was_accepted_is_read_whatever_its_type_says(name: str) -> None:
    """Accepting adds the region once more under its prompt's type: both draw the same mask."""
    for region in recorded(name):
        mask = mask_from_value(region["value"], SIZE)
        assert mask is not None
        assert mask.shape == SIZE
        assert 7_000 < np.count_nonzero(mask) < 20_000


TAGS = {
    "brush": "Brush",
    "bitmask": "Bitmask",
    "ellipse": "Ellipse",
    "rectangle": "Rectangle",
    "vector": "Vector",
}


@pytest.mark.parametrize("name", [name for name in ACCEPTED if "maskDataURL" not in name])
def test_an_accepted_mask_written_again_draws_the_same(name: str) -> None:
    for region in recorded(name):
        shape = shape_of(region["value"])
        assert shape is not None
        mask = mask_from_value(region["value"], SIZE)
        assert mask is not None
        tag = labelled(f"{TAGS[shape]}Labels", "out", smart="false")
        (again,) = to_regions([Mask(mask, 1.0)], unnamed(config(tag)))
        back = mask_from_value(again["value"], SIZE)
        assert back is not None
        assert iou(back, mask) > 0.98


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"rle": [], "format": "rle", "keypointlabels": ["Car"]}, "brush"),
        ({"imageDataURL": ""}, "bitmask"),
        ({"x": 1, "y": 2, "radiusX": 3, "radiusY": 4}, "ellipse"),
        ({"x": 1, "y": 2, "width": 3, "height": 4}, "rectangle"),
        ({"x": 1, "y": 2, "width": 3}, "keypoint"),
        ({"points": []}, "polygon"),
        ({"vertices": []}, "vector"),
        ({"sequence": []}, "videorectangle"),
        ({"choices": ["a"]}, None),
        ({}, None),
    ],
)
def test_shapes_are_told_by_the_value_s_keys(value: dict[str, Any], shape: str | None) -> None:
    assert shape_of(value) == shape


@pytest.mark.parametrize("value", [{"x": 1, "y": 2, "width": 3}, {"choices": ["a"]}, {"sequence": []}])
def test_what_draws_no_mask_gives_none(value: dict[str, Any]) -> None:
    assert mask_from_value(value, SIZE) is None


def test_a_turned_box_covers_what_it_covers_on_the_screen() -> None:
    mask = mask_from_value({"x": 50, "y": 50, "width": 10, "height": 20, "rotation": 90}, SIZE)
    assert mask is not None
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (280, 400, 300, 380)


def png(image: np.ndarray[Any, Any]) -> str:
    return "data:image/png;base64," + base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_without_alpha_is_read_by_what_is_not_black(channels: int) -> None:
    gray = disc() * np.uint8(255)
    mask = mask_from_value({"imageDataURL": png(gray if channels == 1 else cv2.merge([gray] * 3))}, SIZE)
    assert mask is not None
    assert np.array_equal(mask, disc())


def nested(deep: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(deep):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"imageDataURL": "data:image/png;base64,!!!"}, "PNG"),
        ({"imageDataURL": "data:image/png;base64,AAAA"}, "PNG"),
        ({"imageDataURL": None}, "PNG"),
        ({"imageDataURL": "data:image/png;base64,é"}, "PNG"),
        ({"imageDataURL": nested(900)}, "PNG"),
        ({"imageDataURL": png(np.zeros((5, 7, 4), np.uint8))}, "7 x 5 pixels"),
        ({"points": [[1, 2], [3, 4]]}, "at least 3"),
        ({"points": [[1, 2], [3, 4], [5]]}, "list of"),
        ({"points": "text"}, "list of"),
        ({"points": [[1, 2], [3, 4], [5, None]]}, "finite number"),
        ({"vertices": [1, 2, 3]}, "vertices"),
        ({"x": 1, "y": 2, "radiusX": 3}, "radiusY"),
        ({"x": 1, "y": 2, "width": "3", "height": 4}, "width"),
        ({"x": 1, "y": 2, "width": 3, "height": 4, "rotation": float("nan")}, "rotation"),
        ({"rle": "text"}, "RLE"),
        ({"rle": 10**13}, "list of whole numbers"),
        ({"rle": [1e13]}, "list of whole numbers"),
        ({"rle": {"counts": "x"}}, "list of whole numbers"),
        ({"points": [[1, 2], [3, 4], [5, 1e308]]}, "finite number"),
        ({"points": [[1, 2], [3, 4], [5, 10**30]]}, "finite number"),
        ({"points": [[50, y] for y in (0, 100) * 20_000]}, "fewer points"),
        ({"vertices": [{"x": 1, "y": 2}, {"x": -1e308, "y": 3}, {"x": 4, "y": 5}]}, "finite number"),
        ({"x": 1, "y": 2, "radiusX": 1e300, "radiusY": 4}, "radiusX"),
        ({"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 1e300}, "rotation"),
        ({"x": nested(900), "y": 2, "width": 3, "height": 4}, "something of type list"),
        ({"x": "7" * 5_000_000, "y": 2, "width": 3, "height": 4}, "'7{40}'\\.$"),
    ],
)
def test_a_damaged_value_is_refused_by_what_is_wrong_with_it(value: dict[str, Any], says: str) -> None:
    with pytest.raises(PromptError, match=says):
        mask_from_value(value, Size(600, 800))


@pytest.mark.parametrize("key", ["imageDataURL", "maskDataURL"])
def test_a_bitmask_of_another_size_is_refused_by_its_header_before_its_pixels_are_read(key: str) -> None:
    whole = bitmask_png.encode(np.zeros((10_000, 10_000), np.bool_))
    without_pixels = "data:image/png;base64," + base64.b64encode(whole[:33]).decode()
    with pytest.raises(PromptError, match="10000 x 10000 pixels"):
        mask_from_value({key: without_pixels}, Size(120, 160))


def test_a_bitmask_that_is_no_png_is_refused_whatever_else_it_is() -> None:
    jpeg = base64.b64encode(cv2.imencode(".jpg", np.zeros((600, 800), np.uint8))[1].tobytes()).decode()
    with pytest.raises(PromptError, match="no PNG"):
        mask_from_value({"imageDataURL": "data:image/png;base64," + jpeg}, SIZE)


def test_a_brush_mask_of_more_pixels_than_the_picture_has_is_refused_by_its_header() -> None:
    of_a_larger = brush_rle.encode(np.zeros((2000, 2000), np.bool_))[:40]
    with pytest.raises(PromptError, match="holds 4000000 pixels"):
        mask_from_value({"rle": of_a_larger}, Size(120, 160))


@pytest.mark.parametrize("radius", [0, -1, 1e-320, 1e-9])
def test_an_ellipse_without_extent_holds_no_pixel(radius: float) -> None:
    mask = mask_from_value({"x": 50, "y": 50, "radiusX": radius, "radiusY": 10}, SIZE)
    assert mask is not None
    assert not mask.any()
