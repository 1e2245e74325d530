from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions.prompts import from_regions
from label_studio_sam2.labelstudio.regions.results import to_regions
from label_studio_sam2.labelstudio.regions.values import mask_from_value
from label_studio_sam2.types import Bitmap, Mask

from tests.fakes.regions import BOXES, BRUSH, CLICKS, SIZE, USUAL, box, click, config, disc, labelled, unnamed

SEPARATED = labelled("Labels", "lab", "Car", "Dog")
TWO_PARTS = disc() | disc(x=600, y=400, radius=40)


def answer(
    bitmap: Bitmap, config: LabelingConfig = USUAL, region: dict[str, Any] | None = None, score: float = 0.9
) -> list[dict[str, Any]]:
    (prompt,) = from_regions([region or click(37, 41, id="p1")], config).prompts
    return to_regions([Mask(bitmap, score)], prompt)


def drawn(regions: list[dict[str, Any]]) -> Bitmap:
    """What the regions draw together."""
    together = np.zeros(SIZE, np.bool_)
    for region in regions:
        mask = mask_from_value(region["value"], SIZE)
        assert mask is not None
        together |= mask
    return together


def test_a_click_is_answered_with_a_brush_region() -> None:
    (region,) = answer(disc())
    rle = region["value"].pop("rle")
    assert rle[:4] == list((SIZE.height * SIZE.width * 4).to_bytes(4))
    assert region == {
        "id": region["id"],
        "from_name": "brush",
        "to_name": "image",
        "type": "brushlabels",
        "original_width": 800,
        "original_height": 600,
        "image_rotation": 0,
        "score": 0.9,
        "value": {"format": "rle", "brushlabels": ["Car"]},
    }


@pytest.mark.parametrize(
    ("tag", "least"),
    [("Brush", 1), ("Bitmask", 1), ("Polygon", 0.97), ("Vector", 0.97)],
)
@pytest.mark.parametrize("bitmap", [disc(), disc(hole=40), TWO_PARTS, disc(hole=60) | disc(radius=20)])
@pytest.mark.parametrize("separate", [True, False])
def test_every_part_and_hole_is_drawn(tag: str, least: float, bitmap: Bitmap, separate: bool) -> None:
    output = f'<{tag} name="out" toName="image"/>' if separate else labelled(f"{tag}Labels", "out")
    regions = answer(bitmap, config(CLICKS, output, *([SEPARATED] if separate else [])))
    drawing = [region for region in regions if region["from_name"] == "out"]
    assert iou(drawn(drawing), bitmap) >= least
    assert {region["type"] for region in drawing} == {tag.lower() if separate else f"{tag}Labels".lower()}


def test_an_ellipse_lies_where_the_mask_lies() -> None:
    regions = answer(disc(), config(CLICKS, labelled("EllipseLabels", "out")))
    assert iou(drawn(regions), disc()) > 0.99
    assert regions[0]["value"]["ellipselabels"] == ["Car"]


def test_a_rectangle_is_tight_around_all_parts() -> None:
    regions = answer(TWO_PARTS, config(CLICKS, labelled("RectangleLabels", "out", smart="false")))
    value = regions[0]["value"]
    edges = (
        value["x"] * 8,
        value["y"] * 6,
        (value["x"] + value["width"]) * 8,
        (value["y"] + value["height"]) * 6,
    )
    assert edges == pytest.approx((210, 160, 640, 440))


def test_a_separate_labels_tag_makes_two_items_of_one_id() -> None:
    brush, named = answer(disc(), config(CLICKS, SEPARATED, '<Brush name="brush" toName="image"/>'))
    assert (brush["type"], brush["from_name"]) == ("brush", "brush")
    assert (named["type"], named["from_name"]) == ("labels", "lab")
    assert named["id"] == brush["id"]
    assert named["value"] == brush["value"] | {"labels": ["Car"]}


def test_a_click_without_label_is_answered_without_one() -> None:
    region = click(37, 41) | {"value": {"x": 37, "y": 41, "labels": []}}
    (brush,) = answer(disc(), config(CLICKS, SEPARATED, '<Brush name="brush" toName="image"/>'), region)
    assert brush["type"] == "brush"
    assert "labels" not in brush["value"]


def test_model_label_names_what_no_prompt_names() -> None:
    named = config(labelled("BrushLabels", "out", "Car", "Dog", model_label="Dog"))
    (region,) = to_regions([Mask(disc(), 1.0)], unnamed(named))
    assert region["value"]["brushlabels"] == ["Dog"]


def test_the_only_label_names_what_no_prompt_names() -> None:
    (region,) = to_regions([Mask(disc(), 1.0)], unnamed(config(labelled("BrushLabels", "out", "Bus"))))
    assert region["value"]["brushlabels"] == ["Bus"]


def test_all_outputs_are_answered_at_once_with_an_id_each() -> None:
    outputs = [
        labelled(tag, tag) for tag in ("BrushLabels", "BitmaskLabels", "PolygonLabels", "EllipseLabels")
    ]
    regions = answer(TWO_PARTS, config(CLICKS, *outputs))
    assert [region["from_name"] for region in regions] == [
        "BrushLabels",
        "BitmaskLabels",
        "PolygonLabels",
        "PolygonLabels",
        "EllipseLabels",
    ]
    assert len({region["id"] for region in regions}) == 5


def test_ids_are_the_same_for_the_same_prompt_and_others_for_a_moved_click() -> None:
    (one,), (again,), (moved,) = (answer(disc(), region=click(x, 41, id="p1")) for x in (37, 37, 38))
    assert one["id"] == again["id"] != moved["id"]


def test_several_masks_of_one_prompt_have_an_id_each() -> None:
    (prompt,) = from_regions([click(37, 41, id="p1")], USUAL).prompts
    regions = to_regions([Mask(disc(), 0.9), Mask(TWO_PARTS, 0.8)], prompt)
    assert [region["score"] for region in regions] == [0.9, 0.8]
    assert regions[0]["id"] != regions[1]["id"]


def test_an_empty_mask_gives_no_region() -> None:
    outputs = [labelled(f"{t}Labels", t) for t in ("Brush", "Bitmask", "Polygon", "Ellipse", "Vector")]
    assert answer(np.zeros(SIZE, np.bool_), config(CLICKS, *outputs)) == []


def test_a_mask_below_the_project_s_threshold_gives_no_region() -> None:
    strict = config(CLICKS, labelled("BrushLabels", "out", model_score_threshold="0.5"))
    assert answer(disc(), strict, score=0.4) == []
    assert len(answer(disc(), strict, score=0.6)) == 1


def test_the_position_in_a_list_and_the_turn_of_the_view_are_echoed() -> None:
    (region,) = answer(disc(), region=click(37, 41, item_index=2, image_rotation=90))
    assert (region["item_index"], region["image_rotation"]) == (2, 90)


def test_polygons_keep_to_the_budget_and_say_what_it_costs() -> None:
    wavy = np.hypot(*np.mgrid[-300:300, -400:400]) < 200 + 20 * np.sin(
        12 * np.arctan2(*np.mgrid[-300:300, -400:400])
    )
    few = config(CLICKS, labelled("PolygonLabels", "out", model_vertices="24"))
    (coarse,), (fine,) = answer(wavy, few), answer(wavy, config(CLICKS, labelled("PolygonLabels", "out")))
    assert len(coarse["value"]["points"]) <= 24 < len(fine["value"]["points"]) <= 100
    (note,) = coarse["meta"]["text"]
    overlap = float(note.partition("IoU ")[2].split()[0])
    assert overlap == pytest.approx(iou(drawn([coarse]), wavy), abs=0.002)
    assert iou(drawn([fine]), wavy) > iou(drawn([coarse]), wavy)


def test_coordinates_are_numbers_that_json_knows() -> None:
    outputs = [labelled(f"{tag}Labels", tag) for tag in ("Polygon", "Ellipse", "Vector")]
    for region in answer(disc(), config(CLICKS, labelled("RectangleLabels", "r", smart="false"), *outputs)):
        for number in _numbers(region["value"]):
            assert type(number) in {int, float, bool}
            assert math.isfinite(number)


def _numbers(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [number for inner in value.values() for number in _numbers(inner)]
    if isinstance(value, list):
        return [number for inner in value for number in _numbers(inner)]
    return [] if isinstance(value, str) else [value]


@pytest.mark.parametrize(
    ("controls", "region", "answered"),
    [
        ([CLICKS, BOXES, BRUSH], click(37, 41), ["brush"]),
        ([CLICKS, BOXES, BRUSH], box(25, 25, 25, 33), ["brush"]),
        ([CLICKS, BOXES], click(37, 41), ["rect"]),
        ([BOXES], box(25, 25, 25, 33), ["rect"]),
        (
            [CLICKS, BRUSH, labelled("RectangleLabels", "rect", smart="false")],
            click(37, 41),
            ["brush", "rect"],
        ),
        ([BRUSH, labelled("RectangleLabels", "rect", smart="false")], box(25, 25, 25, 33), ["brush"]),
        (
            [CLICKS, labelled("BrushLabels", "cars"), labelled("BrushLabels", "dogs", "Dog")],
            click(37, 41),
            ["cars"],
        ),
        ([CLICKS, labelled("BrushLabels", "buses", "Bus")], click(37, 41), ["buses"]),
        ([CLICKS, BRUSH, labelled("BrushLabels", "elsewhere", to="other")], click(37, 41), ["brush"]),
    ],
)
def test_outputs_are_what_the_annotator_means_by_the_config(
    controls: list[str], region: dict[str, Any], answered: list[str]
) -> None:
    assert [one["from_name"] for one in answer(disc(), config(*controls), region)] == answered


def test_a_config_without_output_says_which_tag_to_add() -> None:
    with pytest.raises(LabelConfigError, match="BrushLabels"):
        answer(disc(), config(CLICKS))
