from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.existing import prompts_in
from label_studio_sam2.labelstudio.regions.prompts import Asked

from tests.fakes.regions import SIZE, USUAL, box, click, config, labelled, pages, recorded


def carried(task: dict[str, Any], parsed: Any = USUAL) -> Asked:
    return prompts_in(Task.model_validate({"id": 1} | task), parsed, lambda version: version == "ours")


def ids(asked: Asked) -> list[tuple[str, ...]]:
    return [prompt.ids for prompt in asked.prompts]


def source(number: Any, *regions: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "result": list(regions)} | more


def named(name: str) -> dict[str, Any]:
    return box(10, 10, 20, 20, id=name)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ({"annotations": [source(1, named("old")), source(2, named("new"))]}, "new"),
        ({"annotations": [source(2, named("new")), source(1, named("old"))]}, "new"),
        (
            {"annotations": [source(1, named("kept")), source(2, named("skipped"), was_cancelled=True)]},
            "kept",
        ),
        ({"annotations": [source(1, named("person"))], "predictions": [source(9, named("model"))]}, "person"),
        ({"annotations": [source(1)], "predictions": [source(9, named("model"))]}, "model"),
        (
            {"predictions": [source(1, named("theirs")), source(2, named("mine"), model_version="ours")]},
            "theirs",
        ),
        ({"predictions": [source(1, named("model"))], "data": {"boxes": [named("imported")]}}, "model"),
        ({"data": {"image": "a.png", "boxes": [named("imported")]}}, "imported"),
        ({"data": {"found": source(1, named("imported"))}}, "imported"),
        ({"data": {"found": [source(1), source(2, named("second"))]}}, "second"),
        ({"drafts": [source(5, named("draft"))], "predictions": [source(1, named("model"))]}, "model"),
        ({"annotations": [source("x", named("odd")), source(None), 5, None, "y"]}, "odd"),
        ({"annotations": {"a": 1}, "predictions": "x", "data": {"boxes": [named("imported")]}}, "imported"),
    ],
)
def test_the_first_source_that_asks_counts_the_newest_first(task: dict[str, Any], found: str) -> None:
    asked = carried(task)
    assert ids(asked) == [(found,)]
    assert asked.left_out == []


def test_drafts_alone_ask_for_nothing_for_somebody_is_still_at_it() -> None:
    assert carried({"drafts": [source(1, named("draft"))]}) == ([], [])


@pytest.mark.parametrize(
    "name",
    ["out_brush_accepted_result", "out_brush_plus_rect_accepted_result", "out_bitmask_rgba_accepted_result"],
)
def test_an_accepted_mask_that_is_saved_twice_is_one_object_and_finished(name: str) -> None:
    """Once by its own tag and once, under the same id, by its prompt's type."""
    saved = recorded(name)
    assert any(region["type"] in {"keypointlabels", "rectanglelabels"} for region in saved)
    assert carried({"annotations": [source(1, *saved)]}) == ([], [])


def test_a_shape_that_is_saved_twice_under_one_id_is_one_object_where_the_config_shows_more() -> None:
    value = {"x": 10, "y": 10, "width": 20, "height": 20}
    twice = [
        {"id": "a", "type": "rectanglelabels", "value": {**value, "rectanglelabels": ["Car"]}},
        {"id": "a", "type": "keypointlabels", "value": {**value, "keypointlabels": ["Car"]}},
        {"id": "a", "type": "choices", "value": {**value, "choices": ["blurred"]}},
    ]
    asked = carried({"annotations": [source(1, *twice)]})
    assert ids(asked) == [("a",)]
    assert asked.prompts[0].labels == ("Car",)


def test_per_region_choices_are_neither_labels_nor_objects() -> None:
    region = named("r")
    choice = region | {"type": "choices", "value": {**region["value"], "choices": ["blurred"]}}
    asked = carried({"annotations": [source(1, choice, region)]})
    assert [prompt.labels for prompt in asked.prompts] == [("Car",)]


@pytest.mark.parametrize(
    "bad",
    [
        named("bad") | {"value": {"x": "10", "y": 1, "width": 5, "height": 5}},
        named("bad") | {"item_index": -1},
        named("bad") | {"type": ["rectanglelabels"]},
        named("bad") | {"value": [1]},
        None,
        7,
    ],
)
def test_a_bad_region_does_not_take_the_source_s_others_along(bad: Any) -> None:
    asked = carried({"annotations": [source(1, bad, named("good"), bad)]})
    assert ids(asked) == [("good",)]


@pytest.mark.parametrize("to_name", [["image"], {"a": 1}, "image,second", None, 5])
def test_odd_names_of_objects_are_read_or_passed_over(to_name: Any) -> None:
    assert ids(carried({"predictions": [source(1, named("a") | {"to_name": to_name})]})) == [("a",)]


def test_where_a_source_can_not_be_used_the_next_one_is_and_the_first_is_named() -> None:
    broken = box(10, 10, 20, 20, id="broken", rotation=float("inf"))
    asked = carried({"annotations": [source(1, broken)], "predictions": [source(1, named("model"))]})
    assert ids(asked) == [("model",)]
    assert [error.detail.partition(":")[0] for error in asked.left_out] == ['Region "broken"']
    with pytest.raises(PromptError, match="broken"):
        carried({"annotations": [source(1, broken)]})


def test_negative_clicks_belong_to_their_label_s_object_in_a_stored_source_too() -> None:
    asked = carried({"annotations": [source(1, click(50, 50, id="a"), click(5, 5, False, id="b"))]})
    assert ids(asked) == [("a", "b")]


def test_a_page_of_a_repeater_is_found_by_the_name_that_the_editor_gave_it() -> None:
    data = {"pages": [{"url": "one.png"}, {"url": "two.png"}]}
    parsed = labeling_config.parse(pages(), data)
    on_page = [named(f"r{n}") | {"to_name": f"page_{n}", "from_name": f"rect_{n}"} for n in (0, 1)]
    asked = carried({"data": data, "predictions": [source(1, *on_page)]}, parsed)
    assert [prompt.on.address(data) for prompt in asked.prompts] == ["one.png", "two.png"]
    assert [[output.name for output in prompt.outputs] for prompt in asked.prompts] == [
        ["brush_0"],
        ["brush_1"],
    ]


def test_where_the_config_shows_no_mask_nothing_is_asked() -> None:
    only_keypoints = config(labelled("KeyPointLabels", "k"))
    assert carried({"predictions": [source(1, named("a"))]}, only_keypoints) == ([], [])


def test_a_task_whose_newest_annotation_has_masks_is_finished() -> None:
    finished = {"id": "m", "type": "brush", "value": {"rle": brush_rle.encode(np.ones(SIZE, np.bool_))}}
    assert carried({"annotations": [source(2, finished, named("a")), source(1, finished)]}) == ([], [])
