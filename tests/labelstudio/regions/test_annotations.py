from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.codecs import bitmask_png, brush_rle, coco_rle
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.annotations import Accepted, accepted
from label_studio_sam2.types import Size

from tests.fakes.regions import SIZE, USUAL, disc, labelled, recorded

VIDEO = labeling_config.parse(
    '<View><Video name="video" value="$video"/>' + labelled("VideoRectangle", "box", to="video") + "</View>"
)
MASK = disc()


def task(*regions: dict[str, Any], **annotation: Any) -> Task:
    return Task(id=5, annotations=[{"id": 9, "result": list(regions)} | annotation])


def region(value: dict[str, Any], name: str = "a", to: str = "image", **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "brushlabels", "from_name": "brush", "to_name": to, "value": value} | more


def brush(name: str = "a", **more: Any) -> dict[str, Any]:
    return region({"format": "rle", "rle": brush_rle.encode(MASK)}, name, **more)


def only(found: list[Accepted]) -> Accepted:
    (one,) = found
    return one


BY_KEYS: list[dict[str, Any]] = [
    {"format": "rle", "rle": brush_rle.encode(MASK)},
    {"imageDataURL": "data:image/png;base64," + base64.b64encode(bitmask_png.encode(MASK)).decode()},
    {"points": [[10, 10], [60, 10], [60, 70]], "closed": True},
    {"vertices": [{"x": 10, "y": 10}, {"x": 60, "y": 10}, {"x": 60, "y": 70}], "closed": True},
    {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "rotation": 0},
]


@pytest.mark.parametrize("value", BY_KEYS)
def test_every_shape_that_is_a_mask_counts_whatever_the_regions_type(value: dict[str, Any]) -> None:
    one = only(accepted(task(region(value, type="keypointlabels")), USUAL))
    assert (one.item_index, one.keyframe) == (None, None)
    assert one.bitmap(SIZE).any()


def test_a_brush_mask_comes_back_pixel_for_pixel() -> None:
    assert np.array_equal(only(accepted(task(brush()), USUAL)).bitmap(SIZE), MASK)


def test_an_accepted_region_that_comes_twice_with_the_same_id_counts_once() -> None:
    twice = task(brush(), brush(type="keypointlabels", from_name="kp"), brush("b"))
    assert len(accepted(twice, USUAL)) == 2


@pytest.mark.parametrize(
    "value",
    [
        {"x": 1, "y": 1, "width": 30, "height": 30, "rotation": 0},
        {"x": 1, "y": 1, "width": 0.3},
        {"choices": ["Yes"]},
        "nothing",
    ],
)
def test_boxes_points_and_choices_are_no_masks(value: Any) -> None:
    assert accepted(task(region(value)), USUAL) == []


def test_skipped_annotations_predictions_and_drafts_are_left_out() -> None:
    assert accepted(task(brush(), was_cancelled=True), USUAL) == []
    others: dict[str, Any] = {"predictions": [{"result": [brush()]}], "drafts": [{"result": [brush()]}]}
    assert accepted(Task.model_validate({"id": 1, "annotations": []} | others), USUAL) == []
    assert len(accepted(task(brush(), was_cancelled=False), USUAL)) == 1


def test_a_mask_of_another_size_is_refused_with_its_task_and_region() -> None:
    one = only(accepted(task(brush("r7")), USUAL))
    with pytest.raises(PromptError, match=r'Task 5, annotation 9, region "r7".*800 x 600|pixels'):
        one.bitmap(Size(10, 10))


def test_an_empty_mask_is_refused() -> None:
    empty = region({"rle": brush_rle.encode(np.zeros(SIZE, np.bool_))})
    with pytest.raises(PromptError, match="holds no pixel"):
        only(accepted(task(empty), USUAL)).bitmap(SIZE)


def test_the_picture_of_a_list_is_kept() -> None:
    assert only(accepted(task(brush(item_index=2)), USUAL)).item_index == 2


def keyframe(frame: int, **more: Any) -> dict[str, Any]:
    """As tracking leaves it: the mask's tight box."""
    rle = {"size": list(SIZE), "counts": coco_rle.encode(MASK)}
    box = tight_box(MASK)
    assert box is not None
    shape = {
        "x": 100 * box.x0 / SIZE.width,
        "y": 100 * box.y0 / SIZE.height,
        "width": 100 * (box.x1 - box.x0) / SIZE.width,
        "height": 100 * (box.y1 - box.y0) / SIZE.height,
    }
    return {"frame": frame, "rotation": 0, "auto": True, "rle": rle} | shape | more


def test_a_videos_keyframes_with_masks_count_a_few_of_each_object() -> None:
    sequence = [keyframe(frame) for frame in range(1, 101)]
    found = accepted(task(region({"sequence": sequence}, to="video")), VIDEO)
    assert [one.keyframe and one.keyframe.frame for one in found] == [1, 26, 51, 76]
    assert np.array_equal(found[2].bitmap(SIZE), MASK)
    with pytest.raises(PromptError, match="hasn't 10 x 10 pixels"):
        found[0].bitmap(Size(10, 10))


@pytest.mark.parametrize("moved", [{"x": 1.0}, {"rotation": 30.0}, {"auto": False}])
def test_the_mask_of_a_keyframe_that_the_annotator_moved_is_not_what_was_accepted(
    moved: dict[str, Any],
) -> None:
    one = only(accepted(task(region({"sequence": [keyframe(3, **moved)]}, to="video")), VIDEO))
    with pytest.raises(PromptError, match=r'region "a".*frame 3.*moved'):
        one.bitmap(SIZE)


def test_recorded_keyframes_without_a_real_mask_are_passed_over() -> None:
    saved = recorded("annotation_saved_video")
    assert any("sequence" in one["value"] for one in saved["result"])
    assert accepted(Task(id=1, annotations=[saved]), VIDEO) == []


def test_recorded_brush_annotations_are_read() -> None:
    (saved,) = recorded("annotation_saved_brush")
    names = {one["to_name"] for one in saved["result"]}
    assert names == {"image"}
    found = accepted(Task(id=1, annotations=[saved]), USUAL)
    assert len(found) == len({one["id"] for one in saved["result"] if "rle" in one["value"]})
    assert all(one.bitmap(SIZE).any() for one in found)


@pytest.mark.parametrize("to", [["image"], ["nowhere", "image"], "nowhere,image"])
def test_a_list_of_names_is_the_picture_among_them(to: Any) -> None:
    assert only(accepted(task(region(BY_KEYS[0], to=to)), USUAL)).tag.name == "image"


@pytest.mark.parametrize("to", [{"a": 1}, 5, [], [["image"]], "nowhere"])
def test_a_mask_on_what_the_config_does_not_have_is_none(to: Any) -> None:
    assert accepted(task(region(BY_KEYS[0], to=to)), USUAL) == []


def test_masks_without_an_id_are_each_their_own() -> None:
    assert len(accepted(task(*(brush() | {"id": None} for _ in range(2))), USUAL)) == 2
