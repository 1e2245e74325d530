"""What can't be read is left out alone, and named; where that is all there is, the request is refused by it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.errors import LabelConfigError, PromptError, RequestError, TooLarge
from label_studio_sam2.geometry import percent_to_pixels, pixels_to_percent
from label_studio_sam2.labelstudio.codecs import bitmask_png, brush_rle, coco_rle
from label_studio_sam2.labelstudio.regions.prompts import from_regions, in_pixels
from label_studio_sam2.labelstudio.regions.results import to_regions
from label_studio_sam2.labelstudio.regions.values import mask_from_value
from label_studio_sam2.types import Box, Mask, Prompt, Size

from tests.fakes.regions import BRUSH, CLICKS, SIZE, USUAL, box, click, config, labelled

GOOD = box(25, 50, 50, 25, id="good")
FOUND = Prompt(box=Box(200, 300, 600, 450))


def value(key: str, wrong: object) -> dict[str, Any]:
    region = box(0, 0, 10, 10, id="bad")
    region["value"][key] = wrong
    return region


BAD: dict[str, tuple[Any, str]] = {
    "a box without area": (box(10, 10, 0, 5, id="bad"), "no area"),
    "a box of negative width": (box(10, 10, -5, 5, id="bad"), "no area"),
    "a box outside": (box(120, 10, 10, 10, id="bad"), "outside the picture"),
    "a text for a number": (value("width", "10"), "finite number"),
    "nothing for a number": (value("x", None), "finite number"),
    "a number beyond all pictures": (value("y", 1e308), "finite number"),
    "no number": (value("height", float("nan")), "finite number"),
    "a turn that is none": (value("rotation", "left"), '"rotation"'),
    "a value that is no object": (GOOD | {"id": "bad", "value": [1]}, "no coordinates"),
    "no value": (GOOD | {"id": "bad", "value": None}, "no coordinates"),
    "a place that is none": (GOOD | {"id": "bad", "item_index": "first"}, "item_index"),
    "a click far outside": (click(150, 50, id="bad", label="Dog"), "outside the picture"),
    "a brush that is a number": (
        {"id": "bad", "type": "brush", "from_name": "b", "to_name": "image", "value": {"rle": 1e13}},
        "list of whole numbers",
    ),
    "a brush of another picture": (
        {"id": "bad", "type": "brush", "value": {"rle": brush_rle.encode(np.ones((5, 5), np.bool_))}},
        "holds 25 pixels",
    ),
    "a polygon beyond all pictures": (
        {"id": "bad", "type": "polygon", "value": {"points": [[0, 0], [1e308, 0], [0, 1e308]]}},
        "finite number",
    ),
    "a mask without a pixel": (
        {"id": "bad", "type": "polygon", "value": {"points": [[200, 0], [210, 0], [200, 9]]}},
        "holds no pixel",
    ),
}
NO_REGION: dict[str, tuple[Any, str]] = {
    "a number": (5, "no region, but 5"),
    "a text": ("x" * 1000, "no region, but 'x"),
    "a list": ([[]], "no region, but something of type list"),
}


@pytest.mark.parametrize("what", [*BAD, *NO_REGION])
def test_one_bad_region_among_good_ones_is_left_out_and_named(what: str) -> None:
    bad, says = (BAD | NO_REGION)[what]
    asked = from_regions([bad, GOOD, bad, click(60, 60, label="Dog", id="also good")], USUAL)
    pixels, unusable = in_pixels(asked.prompts, SIZE)
    reasons = [error.detail for error in (*asked.left_out, *unusable)]
    assert FOUND in [prompt for _, prompt in pixels]
    assert len(pixels) == 2
    assert reasons
    assert all(says in reason for reason in reasons)
    assert all('Region "bad"' in reason for reason in reasons) or what in NO_REGION


@pytest.mark.parametrize("what", [*BAD, *NO_REGION])
def test_a_request_in_which_nothing_can_be_used_is_refused_by_its_first_region(what: str) -> None:
    bad, says = (BAD | NO_REGION)[what]
    with pytest.raises(RequestError, match=says):
        [prompt.scaled(SIZE) for prompt in from_regions([bad, None, bad], USUAL).prompts]


def test_nothing_and_null_ask_for_nothing_without_an_error() -> None:
    assert from_regions([], USUAL) == ([], [])
    assert from_regions([None, None], USUAL) == ([], [])


def test_clicks_that_can_be_used_ask_without_those_that_can_not() -> None:
    (prompt,) = from_regions([click(50, 50), click(300, 50, id="far"), click(10, 10, False)], USUAL).prompts
    scaled = prompt.scaled(SIZE)
    assert [point.positive for point in scaled.prompt.points] == [True, False]
    assert [error.detail.partition(":")[0] for error in scaled.left_out] == ['Region "far"']


def test_negative_clicks_that_are_left_of_a_group_ask_for_nothing() -> None:
    (prompt,) = from_regions([click(300, 50, id="far"), click(10, 10, False)], USUAL).prompts
    with pytest.raises(PromptError, match="far"):
        prompt.scaled(SIZE)


def test_the_clicks_beside_a_bad_box_still_ask() -> None:
    (prompt,) = from_regions([box(120, 10, 10, 10, id="bad"), click(50, 50)], USUAL).prompts
    scaled = prompt.scaled(SIZE)
    assert (scaled.prompt.box, len(scaled.prompt.points), len(scaled.left_out)) == (None, 1, 1)


def test_an_object_that_nothing_can_show_is_left_out_alone() -> None:
    two = config(
        CLICKS,
        BRUSH,
        labelled("KeyPointLabels", "other", "Car", to="second"),
        image='<Image name="image" value="$a"/><Image name="second" value="$b"/>',
    )
    asked = from_regions([click(50, 50), click(50, 50, to_name="second")], two)
    assert [prompt.on.name for prompt in asked.prompts] == ["image"]
    assert [type(error) for error in asked.left_out] == [LabelConfigError]
    with pytest.raises(LabelConfigError, match="second"):
        from_regions([click(50, 50, to_name="second")], two)


TWO = config(
    CLICKS.replace('toName="image"', 'toName="image, second"'),
    labelled("BrushLabels", "b", "Car", to="image,second"),
    image='<Image name="image" value="$a"/><Image name="second" value="$b"/>',
)


@pytest.mark.parametrize(
    ("to_name", "on"),
    [
        ("second", "second"),
        (["second"], "second"),
        (["nowhere", "second"], "second"),
        ("second,image", "second"),
        ([], "image"),
        ([["second"]], "image"),
        ({"name": "second"}, "image"),
        (5, "image"),
        (None, "image"),
    ],
)
def test_to_name_is_read_as_a_list_and_with_commas_too(to_name: object, on: str) -> None:
    (prompt,) = from_regions([click(50, 50, to_name=to_name)], TWO).prompts
    assert prompt.on.name == on
    assert [output.name for output in prompt.outputs] == ["b"]


@pytest.mark.parametrize("odd", [["keypointlabels"], {"a": 1}, 5, None, "choices"])
def test_a_type_of_another_kind_is_told_by_the_value(odd: object) -> None:
    (prompt,) = from_regions([click(50, 50, type=odd)], USUAL).prompts
    assert (prompt.labels, len(prompt.clicks)) == (("Car",), 1)


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, None])
def test_ids_of_another_kind_are_none_and_each_region_stands_for_itself(odd: object) -> None:
    one, other = from_regions([box(0, 0, 10, 10, id=odd), box(50, 50, 10, 10, id=odd)], USUAL).prompts
    assert one.ids == other.ids == ()


AT = {"x": 1, "y": 1, "labels": ["Car"]}


@pytest.mark.parametrize(
    ("signs", "positive"),
    [
        ({"is_positive": None}, True),
        ({"is_positive": False}, False),
        ({"is_positive": None, "value": AT | {"positive": False}}, False),
        ({"is_positive": None, "value": AT | {"positive": None}}, True),
        ({"is_positive": True, "value": AT | {"positive": False}}, True),
    ],
)
def test_a_click_is_negative_only_where_it_says_so(signs: dict[str, Any], positive: bool) -> None:
    (prompt,) = from_regions([box(0, 0, 50, 50), click(1, 1) | signs], USUAL).prompts
    assert [one.positive for one in prompt.clicks] == [positive]


@pytest.mark.parametrize("key", ["choices", "taxonomy", "rating", "text", "mine"])
@pytest.mark.parametrize("first", [True, False])
def test_what_is_said_of_a_region_beside_its_label_is_no_label(key: str, first: bool) -> None:
    """Per-region tags come as items of the region's own id, with its shape once more."""
    region = box(25, 50, 50, 25, label="Dog", id="r")
    shape = {name: region["value"][name] for name in ("x", "y", "width", "height", "rotation")}
    said = region | {"type": key, "from_name": key, "value": {**shape, key: ["blurred"]}}
    (prompt,) = from_regions([said, region] if first else [region, said], USUAL).prompts
    assert prompt.labels == ("Dog",)
    assert prompt.scaled(SIZE).prompt == FOUND


def test_a_separate_label_counts_and_the_choice_beside_it_does_not() -> None:
    separated = config(
        labelled("Labels", "lab", "Car"),
        '<Rectangle name="r" toName="image"/><Brush name="b" toName="image"/>',
    )
    shape = {"x": 25, "y": 50, "width": 50, "height": 25}
    items = [
        {"id": "a", "type": "choices", "from_name": "c", "value": {**shape, "choices": ["blurred"]}},
        {"id": "a", "type": "rectangle", "from_name": "r", "value": shape},
        {"id": "a", "type": "labels", "from_name": "lab", "value": {**shape, "labels": ["Car"]}},
    ]
    (prompt,) = from_regions(items, separated).prompts
    assert (prompt.labels, prompt.ids) == (("Car",), ("a",))


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(
        ["keypointlabels", "brush", "image", "a,b", -1, 0, 50, 100, 1e308, -1e308, 1e-320, 1e13, 2**63]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
COORDINATE = st.floats(-20, 120) | ODD
POINTS = st.lists(st.lists(COORDINATE, min_size=2, max_size=2) | ODD, max_size=6)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["x", "y", "width", "height", "rotation", "radiusX", "radiusY"], COORDINATE),
        "points": POINTS | ODD,
        "vertices": st.lists(st.fixed_dictionaries({"x": COORDINATE, "y": COORDINATE}) | ODD, max_size=6)
        | ODD,
        "rle": st.lists(st.integers(0, 255), max_size=20) | ODD,
        "imageDataURL": st.binary(max_size=40).map(lambda png: "data:image/png;base64," + png.hex()) | ODD,
        "keypointlabels": st.lists(ODD, max_size=2),
        "labels": ODD,
        "choices": ODD,
        "positive": ODD,
        "sequence": ODD,
    },
)
REGIONS = st.lists(
    ODD
    | st.fixed_dictionaries(
        {"value": VALUES},
        optional={
            "type": st.sampled_from(["keypointlabels", "rectanglelabels", "brush", "polygonlabels"]) | ODD,
            "id": st.sampled_from(["a", "b"]) | ODD,
            **dict.fromkeys(["from_name", "to_name", "item_index", "is_positive", "image_rotation"], ODD),
            **dict.fromkeys(["original_width", "original_height"], st.integers(1, 500) | ODD),
        },
    ),
    max_size=4,
)
SIZES = st.builds(Size, st.integers(1, 40), st.integers(1, 40))
REFUSED = (PromptError, LabelConfigError, TooLarge)


@pytest.mark.slow
@given(REGIONS, SIZES)
def test_whatever_a_request_draws_is_answered_or_refused_in_a_sentence(
    regions: list[Any], size: Size
) -> None:
    try:
        asked = from_regions(regions, USUAL)
    except REFUSED:
        return
    pixels, unusable = in_pixels(asked.prompts, size)
    assert all(
        isinstance(error, REFUSED) and len(error.detail) < 400 for error in (*asked.left_out, *unusable)
    )
    assert len(pixels) <= len(asked.prompts)
    for prompt, asking in pixels:
        for box_ in [asking.box] if asking.box else []:
            assert 0 <= box_.x0 < box_.x1 <= size.width
            assert 0 <= box_.y0 < box_.y1 <= size.height
        assert all(0 <= point.x <= size.width and 0 <= point.y <= size.height for point in asking.points)
        for region in to_regions([Mask(np.ones(size, np.bool_), 0.9)], prompt):
            back = mask_from_value(region["value"], size)
            assert back is not None
            assert back.all()


@pytest.mark.slow
@given(VALUES, SIZES)
def test_whatever_a_value_holds_is_a_mask_of_the_picture_s_size_or_none_or_refused(
    value: Any, size: Size
) -> None:
    try:
        mask = mask_from_value(value, size)
    except REFUSED:
        return
    assert mask is None or (mask.shape == size and mask.dtype == np.bool_)


@given(st.binary(max_size=60), SIZES)
def test_any_bytes_are_a_mask_or_refused_by_every_codec(data: bytes, size: Size) -> None:
    header = (size.height * size.width * 4).to_bytes(4) + bytes((57, 27, 255))
    for decode in (
        lambda: brush_rle.decode(list(data), size),
        lambda: brush_rle.decode(list(header + data), size),
        lambda: coco_rle.decode(data.decode("latin-1"), size),
        lambda: mask_from_value({"imageDataURL": data.decode("latin-1")}, size),
    ):
        try:
            mask = decode()
        except PromptError:
            continue
        assert mask is not None
        assert mask.shape == size


@given(st.binary(min_size=200, max_size=200), SIZES)
def test_every_codec_gives_back_what_it_was_given(bits: bytes, size: Size) -> None:
    mask = (
        np.unpackbits(np.frombuffer(bits, np.uint8))[: size.height * size.width]
        .reshape(size)
        .astype(np.bool_)
    )
    url = "data:image/png;base64," + base64.b64encode(bitmask_png.encode(mask)).decode()
    for back in (
        brush_rle.decode(brush_rle.encode(mask), size),
        coco_rle.decode(coco_rle.encode(mask), size),
        mask_from_value({"imageDataURL": url}, size),
    ):
        assert back is not None
        assert np.array_equal(back, mask)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1), SIZES)
def test_percent_and_pixels_are_each_other_s_way_back(points: list[tuple[float, float]], size: Size) -> None:
    there = percent_to_pixels(points, size)
    assert np.allclose(pixels_to_percent(there, size), points)
    assert np.allclose(percent_to_pixels([(100, 100)], size), [(size.width, size.height)])
