from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.labelstudio.regions.prompts import from_regions
from label_studio_sam2.types import Box, Point, Prompt, Size

from tests.fakes.regions import BRUSH, SIZE, USUAL, box, click, config, disc, labelled


def prompts(*regions: dict[str, Any]) -> list[Prompt]:
    return [one.scaled(SIZE).prompt for one in from_regions(list(regions), USUAL).prompts]


def test_all_clicks_of_a_label_ask_for_one_object_in_the_order_they_were_made() -> None:
    assert prompts(click(50, 50), click(10, 20, positive=False), click(25, 75)) == [
        Prompt((Point(400, 300), Point(80, 120, False), Point(200, 450)))
    ]


def test_each_label_asks_for_its_own_object() -> None:
    one, other = from_regions([click(50, 50), click(60, 60, label="Dog"), click(10, 10)], USUAL).prompts
    assert (one.labels, len(one.clicks)) == (("Car",), 2)
    assert (other.labels, len(other.clicks)) == (("Dog",), 1)


def test_each_box_asks_for_an_object() -> None:
    assert prompts(box(25, 50, 50, 25), box(0, 0, 10, 10)) == [
        Prompt(box=Box(200, 300, 600, 450)),
        Prompt(box=Box(0, 0, 80, 60)),
    ]


def test_a_region_that_comes_twice_with_one_id_is_one_prompt() -> None:
    separated = config(
        labelled("Labels", "lab", "Car"),
        '<KeyPoint name="kp" toName="image"/><Brush name="b" toName="image"/>',
    )
    value = {"x": 50, "y": 50, "width": 0.2, "labels": ["Car"]}
    point = {"id": "a", "value": value, "to_name": "image", "is_positive": False}
    twice = [point | {"type": "labels", "from_name": "lab"}, point | {"type": "keypoint", "from_name": "kp"}]
    twice.append({"id": "b", "type": "keypoint", "from_name": "kp", "to_name": "image", "value": value})
    (one,) = from_regions(twice, separated).prompts
    assert one.ids == ("a", "b")
    assert one.scaled(SIZE).prompt == Prompt((Point(400, 300, False), Point(400, 300)))
    assert one.labels == ("Car",)
    assert one.outputs == (separated.controls["b"],)


def test_the_sign_is_also_read_from_the_value() -> None:
    negative = click(10, 10)
    del negative["is_positive"]
    negative["value"]["positive"] = False
    assert prompts(click(50, 50), negative)[0].points[1].positive is False


def test_negative_clicks_alone_ask_for_nothing() -> None:
    assert prompts(click(50, 50, positive=False)) == []


@pytest.mark.parametrize(
    ("degrees", "hull"),
    [
        (0, Box(400, 300, 480, 330)),
        (90, Box(370, 300, 400, 380)),
        (180, Box(320, 270, 400, 300)),
        (-90, Box(400, 220, 430, 300)),
    ],
)
def test_a_turned_box_becomes_the_upright_box_around_it(degrees: float, hull: Box) -> None:
    (prompt,) = prompts(box(50, 50, 10, 5, rotation=degrees))
    assert prompt.box == pytest.approx(hull)


def test_clicks_beside_one_box_refine_it() -> None:
    assert prompts(click(90, 90), box(0, 0, 50, 50), click(5, 5, positive=False)) == [
        Prompt((Point(720, 540), Point(40, 30, False)), Box(0, 0, 400, 300))
    ]


def test_a_click_goes_to_the_smallest_box_that_holds_it() -> None:
    large, small = prompts(box(0, 0, 80, 80), box(10, 10, 20, 20), click(15, 15), click(60, 60))
    assert small.points == (Point(120, 90),)
    assert large.points == (Point(480, 360),)


def test_a_negative_click_outside_of_all_boxes_counts_for_each() -> None:
    one, other = prompts(box(0, 0, 20, 20), box(40, 40, 20, 20), click(90, 90, positive=False))
    assert one.points == other.points == (Point(720, 540, False),)


def test_a_positive_click_outside_of_all_boxes_asks_for_another_object() -> None:
    one, other, third = prompts(
        box(0, 0, 20, 20), box(40, 40, 20, 20), click(90, 90), click(50, 50, positive=False)
    )
    assert one.points == ()
    assert other.points == (Point(400, 300, False),)
    assert third == Prompt((Point(720, 540),))


def test_a_box_that_reaches_beyond_the_picture_is_clamped() -> None:
    assert prompts(box(90, -5, 20, 10))[0].box == Box(720, 0, 800, 30)


def test_a_click_just_beyond_the_edge_is_on_the_edge() -> None:
    assert prompts(click(100.5, -0.2))[0].points == (Point(800, 0),)


@pytest.mark.parametrize(
    "outside", [click(150, 50, id="far"), box(120, 10, 10, 10, id="far"), click(50, -3, id="far")]
)
def test_a_prompt_outside_the_picture_is_refused_by_its_name(outside: dict[str, Any]) -> None:
    with pytest.raises(PromptError, match=r'Region "far".*outside the picture'):
        prompts(outside)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "50", None, True, [1]])
@pytest.mark.parametrize("key", ["x", "y"])
def test_a_coordinate_that_is_no_number_is_refused_before_anything_is_fetched(
    key: str, wrong: object
) -> None:
    region = click(50, 50, id="bad")
    region["value"][key] = wrong
    with pytest.raises(PromptError, match=r'Region "bad".*finite number'):
        from_regions([region], USUAL)


@pytest.mark.parametrize("value", [None, {}, {"keypointlabels": ["Car"]}, [1]])
def test_a_prompt_without_coordinates_is_refused(value: object) -> None:
    with pytest.raises(PromptError, match='Region "empty"'):
        from_regions([click(1, 1, id="empty") | {"value": value}], USUAL)


@pytest.mark.parametrize(
    "item",
    [
        {"id": "c", "type": "choices", "from_name": "c", "to_name": "image", "value": {"choices": ["good"]}},
        {"type": "relation", "from_id": "a", "to_id": "b", "direction": "right"},
        {},
        {"id": "v", "type": "videorectangle", "value": {"sequence": []}},
    ],
)
def test_items_that_draw_nothing_on_a_picture_are_passed_over(item: dict[str, Any]) -> None:
    assert prompts(item) == []


def test_a_box_without_area_is_refused() -> None:
    with pytest.raises(PromptError, match="no area"):
        prompts(box(10, 10, 0, 5))


@pytest.mark.parametrize("index", [-1, "1", True, 1.5])
def test_an_item_index_that_is_no_position_is_refused(index: object) -> None:
    with pytest.raises(PromptError, match="item_index"):
        prompts(click(1, 1, item_index=index))


def test_clicks_on_two_pictures_of_a_list_are_two_objects() -> None:
    first, second = from_regions([click(1, 1, item_index=0), click(1, 1, item_index=3)], USUAL).prompts
    assert (first.item_index, second.item_index) == (0, 3)


def test_turning_the_view_does_not_turn_the_coordinates() -> None:
    (prompt,) = from_regions([click(10, 20, image_rotation=90)], USUAL).prompts
    assert prompt.scaled(SIZE).prompt == Prompt((Point(80, 120),))
    assert prompt.image_rotation == 90


def test_percent_are_of_the_true_picture_and_a_wrong_size_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    (prompt,) = from_regions([click(50, 50, id="p")], USUAL).prompts
    with caplog.at_level(logging.WARNING):
        assert prompt.scaled(Size(800, 600)).prompt == Prompt((Point(300, 400),))
    assert 'Region "p"' in caplog.text


def test_unknown_names_are_taken_for_the_only_picture() -> None:
    (prompt,) = from_regions([click(50, 50, from_name="other", to_name="nowhere")], USUAL).prompts
    assert prompt.on.name == "image"


def drawn(shape: str) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {
        "brush": {"format": "rle", "rle": brush_rle.encode(disc())},
        "ellipse": {"x": 37.5, "y": 250 / 6, "radiusX": 90 / 8, "radiusY": 15, "rotation": 30},
        "polygon": {
            "points": [
                [37.5 + 11.25 * math.cos(t), 250 / 6 + 15 * math.sin(t)] for t in np.linspace(0, 6.2, 60)
            ]
        },
    }
    return {"id": shape, "type": shape, "from_name": "b", "to_name": "image", "value": values[shape]}


@pytest.mark.parametrize("shape", ["brush", "ellipse", "polygon"])
def test_whatever_draws_a_mask_prompts_with_it_and_with_its_box(shape: str) -> None:
    (prompt,) = prompts(drawn(shape), click(30, 40, label="Car") | {"value": {"x": 30, "y": 40}})
    assert prompt.mask is not None
    assert prompt.box is not None
    assert iou(prompt.mask.bitmap(), disc()) > 0.98
    assert prompt.box == pytest.approx((210, 160, 390, 340), abs=1.01)
    assert prompt.points == (Point(240, 240),)


def test_a_mask_of_another_picture_is_refused_by_its_name() -> None:
    with pytest.raises(PromptError, match=r'Region "brush".*holds 480000 pixels'):
        [one.scaled(Size(10, 10)) for one in from_regions([drawn("brush")], config(BRUSH)).prompts]


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 5000), st.integers(1, 5000))
def test_percent_scale_with_the_picture(x: float, y: float, height: int, width: int) -> None:
    region = click(x, y)
    del region["original_width"]
    (prompt,) = from_regions([region], USUAL).prompts
    (point,) = prompt.scaled(Size(height, width)).prompt.points
    assert point == pytest.approx((x * width / 100, y * height / 100, True))
