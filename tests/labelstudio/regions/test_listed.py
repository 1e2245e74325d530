"""Which prompts on the pictures of a list mean the same object."""

from __future__ import annotations

from typing import Any

import pytest
from label_studio_sam2.labelstudio.regions.listed import objects
from label_studio_sam2.labelstudio.regions.prompts import from_regions

from tests.fakes.regions import USUAL, box, click


def on(place: int, drawn: dict[str, Any], name: str) -> dict[str, Any]:
    return drawn | {"item_index": place, "id": name}


def meant(*regions: dict[str, Any]) -> list[list[str]]:
    """The ids of each object's prompts."""
    asked = from_regions(list(regions), USUAL, corrections=True).prompts
    return [[name for prompt in one.prompts for name in prompt.ids] for one in objects(asked)]


def test_clicks_of_a_label_on_all_pictures_mean_one_object() -> None:
    assert meant(on(3, click(50, 50), "a"), on(7, click(90, 9), "b"), on(3, click(52, 50), "c")) == [
        ["a", "c", "b"]
    ]


def test_labels_and_lists_are_kept_apart() -> None:
    assert meant(on(0, click(9, 9), "a"), on(1, click(9, 9, label="Dog"), "b")) == [["a"], ["b"]]


def test_a_box_on_another_picture_corrects_the_object_that_lies_nearest() -> None:
    left, right = on(0, box(5, 5, 10, 10), "left"), on(0, box(80, 80, 10, 10), "right")
    assert meant(left, right, on(4, box(75, 70, 12, 12), "later")) == [["left"], ["right", "later"]]


def test_an_object_has_one_box_a_picture_and_one_box_too_many_begins_another() -> None:
    first, second, third = (
        on(place, box(5 + number, 5, 10, 10), name)
        for number, (place, name) in enumerate([(0, "a"), (4, "b"), (4, "c")])
    )
    assert meant(first, second, third) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("place", [0, 5])
def test_a_negative_click_alone_corrects_but_begins_nothing(place: int) -> None:
    negative = on(place, click(60, 60, positive=False), "no")
    assert meant(negative) == []
    assert meant(on(3, click(50, 50), "yes"), negative) == [["yes", "no"]]


def test_without_ids_an_object_is_named_by_where_it_stands() -> None:
    asked = from_regions([click(10, 10) | {"item_index": 2}], USUAL).prompts
    (one,) = objects(asked)
    (other,) = objects(from_regions([click(20, 10) | {"item_index": 2}], USUAL).prompts)
    assert one.id != other.id
