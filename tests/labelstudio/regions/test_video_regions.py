from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.labelstudio.regions.tracks import Tracked
from label_studio_sam2.labelstudio.regions.video_regions import (
    VideoRegion,
    from_regions,
    with_tracked,
)
from label_studio_sam2.types import Bitmap, Box, FrameMask, Size

from tests.fakes.regions import predict_bodies, recorded

SIZE = Size(60, 80)
COUNT = 20
FRAMES = FrameMap(np.arange(COUNT) / 25, 25, COUNT)
CORE = ("x", "y", "width", "height")


def keyframe(frame: int, x: float = 10, *, width: float = 25, **other: Any) -> dict[str, Any]:
    return {
        "frame": frame,
        "x": x,
        "y": 20,
        "width": width,
        "height": 50,
        "rotation": 0,
        "enabled": True,
    } | other


def region(*sequence: dict[str, Any], **other: Any) -> dict[str, Any]:
    value = {"framesCount": COUNT, "duration": COUNT / 25, "sequence": list(sequence), "labels": ["Car"]}
    return {
        "id": "r1",
        "from_name": "box",
        "to_name": "video",
        "type": "videorectangle",
        "value": value,
    } | other


def parsed(*sequence: dict[str, Any], **other: Any) -> VideoRegion:
    return from_regions([region(*sequence, **other)])[0]


def bitmap(left: int, width: int = 12) -> Bitmap:
    drawn = np.zeros(SIZE, np.bool_)
    drawn[15:40, left : left + width] = True
    return drawn


def tracked(left: int, *, with_mask: bool = True) -> Tracked:
    found = Tracked.of(FrameMask(0, "r1", bitmap(left), present=True, score=0.875), with_mask=with_mask)
    assert found is not None
    return found


def moving(first: int = 1, last: int = COUNT, **how: Any) -> dict[int, Tracked | None]:
    """An object that goes two pixels to the right a frame, on these of the editor's frames."""
    return {number - 1: tracked(2 * number, **how) for number in range(first, last + 1)}


def shown(answered: Mapping[str, Any], frame: int) -> list[float] | None:
    """The box that the editor draws on a frame (VideoRegion.js and VideoRectangleRegion.js of 1.23.2)."""
    sequence = answered["value"]["sequence"]
    before = [one for one in sequence if one["frame"] <= frame]
    after = [one for one in sequence if one["frame"] > frame]
    if not before or not (before[-1]["enabled"] or before[-1]["frame"] == frame):
        return None
    here = [float(before[-1][key]) for key in CORE]
    if before[-1]["frame"] == frame or not after:
        return here
    share = (frame - before[-1]["frame"]) / (after[0]["frame"] - before[-1]["frame"])
    return [one + (after[0][key] - one) * share for key, one in zip(CORE, here, strict=True)]


def percent(box: Box) -> list[float]:
    return [
        box.x0 / SIZE.width * 100,
        box.y0 / SIZE.height * 100,
        (box.x1 - box.x0) / SIZE.width * 100,
        (box.y1 - box.y0) / SIZE.height * 100,
    ]


@pytest.mark.parametrize(
    ("name", "regions", "frames"),
    [
        ("ui_video_one_region_one_keyframe", 1, [[1]]),
        ("ui_video_relabel_trigger", 1, [[1]]),
        ("ui_video_two_keyframes", 1, [[30, 60]]),
    ],
)
def test_recorded_requests_are_read_with_every_keyframe_a_prompt(
    name: str, regions: int, frames: list[list[int]]
) -> None:
    found = from_regions(predict_bodies(name)[0]["params"]["context"]["result"])

    assert len(found) == regions
    size = Size(360, 640)
    assert [[one.frame for one in each.user_keyframes(size)] for each in found] == frames
    assert [each.corrections(size) for each in found] == [each.user_keyframes(size) for each in found]
    assert found[0].counted == (100, 4.0)


def test_a_recorded_box_becomes_a_prompt_in_pixels() -> None:
    body = predict_bodies("ui_video_one_region_one_keyframe")[0]
    found = from_regions(body["params"]["context"]["result"])[0]

    box = found.keyframes[0].prompt(Size(360, 640)).box

    assert box == pytest.approx((46.5, 90, 183.5, 210))


@pytest.mark.parametrize(
    "name", ["annotation_saved_video", "export_json_video", "export_json_video_interpolated"]
)
def test_recorded_annotations_with_foreign_keys_are_read(name: str) -> None:
    stored = recorded(name)
    results = stored["result"] if isinstance(stored, dict) else stored[0]["annotations"][0]["result"]

    found = from_regions(results)

    assert found
    assert all(len(each.keyframes) >= 1 for each in found)


def test_a_turned_box_is_prompted_with_the_upright_box_around_it() -> None:
    turned = parsed(keyframe(1, x=50, rotation=90)).keyframes[0]

    assert turned.prompt(SIZE).box == pytest.approx((10, 12, 40, 32))


def test_a_box_outside_of_the_frame_is_refused() -> None:
    with pytest.raises(PromptError, match="frame 3 lies outside"):
        parsed(keyframe(3, x=101)).keyframes[0].prompt(SIZE)


@pytest.mark.parametrize(
    "sequence",
    [
        None,
        {},
        [1],
        [{"frame": 0, "x": 1, "y": 1, "width": 1, "height": 1}],
        [{"frame": 1.5, "x": 1, "y": 1, "width": 1, "height": 1}],
        [{"frame": 1, "x": "a", "y": 1, "width": 1, "height": 1}],
        [{"frame": 1, "x": float("nan"), "y": 1, "width": 1, "height": 1}],
        [{"frame": 1, "x": 1, "y": 1, "width": 1}],
    ],
)
def test_a_sequence_that_is_none_is_refused_with_the_regions_name(sequence: Any) -> None:
    broken = region()
    broken["value"]["sequence"] = sequence

    with pytest.raises(PromptError, match="r1"):
        from_regions([broken])


def test_regions_that_are_no_video_boxes_are_passed_over_and_ids_are_read_once() -> None:
    label = {"id": "r1", "type": "labels", "value": {"labels": ["Car"]}}

    found = from_regions(
        [label, region(keyframe(2)), region(keyframe(3)), region(), {"id": "x", "value": None}]
    )

    assert [(each.id, each.keyframes[0].frame) for each in found] == [("r1", 2)]


def test_the_answer_keeps_the_id_and_has_a_keyframe_with_its_mask_on_every_frame() -> None:
    answered = with_tracked(parsed(keyframe(1), origin="manual"), moving(), FRAMES, SIZE)

    assert {key: answered[key] for key in ("id", "from_name", "to_name", "type", "origin")} == {
        "id": "r1",
        "from_name": "box",
        "to_name": "video",
        "type": "videorectangle",
        "origin": "manual",
    }
    sequence = answered["value"]["sequence"]
    assert [one["frame"] for one in sequence] == list(range(1, COUNT + 1))
    assert answered["value"]["labels"] == ["Car"]
    assert answered["score"] == 0.875
    for one in sequence[1:]:
        assert one["auto"] is True
        assert one["rotation"] == 0
        assert one["score"] == 0.875
        assert one["time"] == one["frame"] / 25
        mask = coco_rle.decode(one["rle"]["counts"], Size(*one["rle"]["size"]))
        assert np.array_equal(mask, bitmap(2 * one["frame"]))
        assert shown(answered, one["frame"]) == pytest.approx(
            percent(Box(2 * one["frame"], 15, 2 * one["frame"] + 12, 40))
        )


def test_the_annotators_keyframe_stays_as_drawn_and_gets_the_mask() -> None:
    answered = with_tracked(parsed(keyframe(4, x=11.5)), moving(4), FRAMES, SIZE)

    first = answered["value"]["sequence"][0]
    assert [first[key] for key in ("frame", *CORE)] == [4, 11.5, 20, 25, 50]
    assert "auto" not in first
    assert first["rle"]["counts"] == coco_rle.encode(bitmap(8))


def test_an_answer_sent_back_unchanged_asks_for_nothing_new() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE, tracked=range(1, COUNT + 1))

    again = from_regions([answered])[0]

    assert [one.frame for one in again.user_keyframes(SIZE)] == [1]
    assert again.corrections(SIZE) == ()
    assert again.tracked == range(1, COUNT + 1)


@pytest.mark.parametrize("every_frame", [True, False])
@pytest.mark.parametrize("change", [{"x": 40}, {"width": 30}, {"rotation": 5}])
def test_a_keyframe_that_was_moved_is_a_correction(every_frame: bool, change: dict[str, Any]) -> None:
    answered = with_tracked(
        parsed(keyframe(1)), moving(with_mask=every_frame), FRAMES, SIZE, every_frame=every_frame
    )
    sequence = answered["value"]["sequence"]
    sequence[-1] |= change
    sequence[0] |= {"y": 21.5}

    again = from_regions([answered])[0]

    assert [one.frame for one in again.corrections(SIZE)] == [1, COUNT]


def test_a_keyframe_added_before_a_tracked_one_is_a_correction_though_the_editor_copies_its_keys() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE)
    sequence = answered["value"]["sequence"]
    del sequence[6:9]
    sequence.insert(6, copy.deepcopy(sequence[6]) | keyframe(8, x=44))

    again = from_regions([answered])[0]

    assert [one.frame for one in again.corrections(SIZE)] == [8]


def test_a_box_that_only_went_through_rounding_is_not_a_correction() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE)
    for one in answered["value"]["sequence"]:
        one["x"] += 1e-9
        one["height"] = round(one["height"], 2)

    assert from_regions([answered])[0].corrections(SIZE) == ()


def test_an_unmoved_mask_may_serve_as_prompt_and_a_moved_one_not() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE)
    answered["value"]["sequence"][5]["x"] = 3

    again = from_regions([answered])[0]

    prompt = again.keyframes[9].mask_prompt(SIZE)
    assert prompt is not None
    assert prompt.mask is not None
    assert np.array_equal(prompt.mask.bitmap(), bitmap(20))
    assert again.keyframes[5].mask_prompt(SIZE) is None
    assert again.keyframes[9].mask_prompt(Size(61, 80)) is None


@given(
    st.lists(st.booleans(), min_size=COUNT, max_size=COUNT),
    st.sets(st.integers(1, COUNT), max_size=3),
    st.booleans(),
)
def test_the_editor_shows_the_object_where_it_is_visible_and_nowhere_else(
    present: list[bool], drawn: set[int], every_frame: bool
) -> None:
    results = {n - 1: tracked(2 * n) if there else None for n, there in enumerate(present, start=1)}
    start = parsed(*(keyframe(frame, x=2.5 * frame) for frame in sorted(drawn)), keyframe(COUNT + 5))

    answered = with_tracked(start, results, FRAMES, SIZE, every_frame=every_frame)

    for number, there in enumerate(present, start=1):
        here = shown(answered, number)
        assert (here is not None) == (there or number in drawn)
        if here is not None and (every_frame or number in drawn):
            found = results[number - 1]
            wanted = [2.5 * number, 20, 25, 50] if number in drawn else percent(found.box)  # type: ignore[union-attr]
            assert here == pytest.approx(wanted, abs=1e-3)


@given(st.lists(st.integers(-3, 3), min_size=COUNT, max_size=COUNT))
def test_without_masks_what_the_editor_interpolates_is_within_a_pixel(steps: list[int]) -> None:
    lefts = 30 + np.cumsum(steps)
    results = {n: tracked(int(np.clip(left, 0, 60)), with_mask=False) for n, left in enumerate(lefts)}

    answered = with_tracked(parsed(keyframe(COUNT + 5)), results, FRAMES, SIZE, every_frame=False)

    assert all("rle" not in one for one in answered["value"]["sequence"])
    for number in range(1, COUNT + 1):
        here = shown(answered, number)
        assert here is not None
        off = np.abs(np.subtract(here, percent(results[number - 1].box))) * (0.8, 0.6, 0.8, 0.6)
        assert off[:2].max() <= 1.001
        assert off.max() <= 2.001  # a width is off by what its two edges are


def test_an_even_motion_without_masks_is_two_keyframes() -> None:
    answered = with_tracked(
        parsed(keyframe(1, x=2.5, width=15)), moving(with_mask=False), FRAMES, SIZE, every_frame=False
    )

    assert [one["frame"] for one in answered["value"]["sequence"]] == [1, 2, COUNT]


def test_what_was_not_tracked_yet_is_not_shown() -> None:
    answered = with_tracked(
        parsed(keyframe(1)),
        moving(1, 7),
        FRAMES,
        SIZE,
        tracked=range(1, 8),
        notes=["Frames 1-7 of 20; click its label off and on again for the rest."],
    )

    assert shown(answered, 7) is not None
    assert shown(answered, 8) is None
    assert answered["meta"]["text"] == [
        "SAM 2: Frames 1-7 of 20; click its label off and on again for the rest."
    ]
    assert from_regions([answered])[0].tracked == range(1, 8)


def test_the_rest_joins_what_was_there_without_a_gap() -> None:
    part = with_tracked(parsed(keyframe(1)), moving(1, 7), FRAMES, SIZE, notes=["Frames 1-7 of 20."])

    whole = with_tracked(from_regions([part])[0], moving(8), FRAMES, SIZE)

    assert [shown(whole, number) for number in range(1, 8)] == [shown(part, number) for number in range(1, 8)]
    assert all(shown(whole, number) is not None for number in range(8, COUNT + 1))
    assert all(one["enabled"] for one in whole["value"]["sequence"])
    assert "text" not in whole["meta"]


@pytest.mark.parametrize("every_frame", [True, False])
@pytest.mark.parametrize("visible", [True, False])
def test_frames_before_a_correction_stay_as_they_were(every_frame: bool, visible: bool) -> None:
    before = with_tracked(
        parsed(keyframe(1)), moving(with_mask=every_frame), FRAMES, SIZE, every_frame=every_frame
    )
    results = {number - 1: tracked(60) if visible else None for number in range(12, COUNT + 1)}

    after = with_tracked(from_regions([before])[0], results, FRAMES, SIZE, every_frame=every_frame)

    for number in range(1, 12):
        assert shown(after, number) == pytest.approx(shown(before, number), abs=1e-6)
    for number in range(12, COUNT + 1):
        assert (shown(after, number) is not None) == visible


def test_a_backward_answer_joins_the_forward_one() -> None:
    forward = with_tracked(parsed(keyframe(10, x=25)), moving(10), FRAMES, SIZE)

    both = with_tracked(from_regions([forward])[0], moving(1, 9), FRAMES, SIZE)

    assert [one["frame"] for one in both["value"]["sequence"]] == list(range(1, COUNT + 1))
    assert all(one["enabled"] for one in both["value"]["sequence"])


def test_the_last_frame_alone_is_answered() -> None:
    answered = with_tracked(parsed(keyframe(COUNT)), {COUNT - 1: tracked(30)}, FRAMES, SIZE)

    assert [one["frame"] for one in answered["value"]["sequence"]] == [COUNT]
    assert answered["value"]["sequence"][0]["enabled"] is True


def test_an_editor_that_counts_slower_gets_the_frames_that_it_shows() -> None:
    half = FrameMap(np.arange(COUNT) / 25, 12.5, COUNT // 2)

    answered = with_tracked(parsed(keyframe(COUNT + 1)), moving(), half, SIZE)

    sequence = [one for one in answered["value"]["sequence"] if one["frame"] <= COUNT // 2]
    assert [one["frame"] for one in sequence] == list(range(1, 11))
    lefts = [percent(tracked(2 * (2 * n + 1)).box)[0] for n in range(10)]
    assert [one["x"] for one in sequence] == pytest.approx(lefts)


def test_the_annotators_own_notes_and_foreign_meta_are_kept() -> None:
    start = parsed(keyframe(1), meta={"text": ["mine", "SAM 2: old"], "other": 5})

    answered = with_tracked(start, moving(), FRAMES, SIZE, notes=["new", ""])

    assert answered["meta"] == {"text": ["mine", "SAM 2: new"], "other": 5, "labels": ["Car"]}


def test_nothing_visible_is_no_result() -> None:
    assert Tracked.of(FrameMask(0, "a", bitmap(3), present=False, score=0.1)) is None
    assert Tracked.of(FrameMask(0, "a", np.zeros(SIZE, np.bool_), present=True, score=0.9)) is None


def test_a_tracked_keyframe_says_which_box_was_answered_so_that_no_mask_has_to_be_read() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE)
    for one in answered["value"]["sequence"]:
        assert one["answered"] == [*(one[key] for key in CORE), 0, 1]
        one["rle"]["counts"] = "not what was written"

    again = from_regions([answered])[0]

    assert [one.frame for one in again.user_keyframes(SIZE)] == [1]
    assert again.corrections(SIZE) == ()


def test_tracks_of_earlier_versions_that_say_it_by_their_masks_are_still_read() -> None:
    answered = with_tracked(parsed(keyframe(1)), moving(), FRAMES, SIZE)
    sequence = answered["value"]["sequence"]
    for one in sequence[1:]:
        del one["answered"]
    sequence[7]["x"] += 5

    again = from_regions([answered])[0]

    assert [one.frame for one in again.corrections(SIZE)] == [8]


@pytest.mark.parametrize("every_frame", [True, False])
def test_a_still_has_a_keyframe_at_both_ends_and_shows_its_box_between_them(every_frame: bool) -> None:
    """Five frames, of which the third stays for a minute."""
    times = np.array([0, 0.04, 0.08, 60.0, 60.04])
    frames = FrameMap(times, 25, 1503)
    results = {number: tracked(10 + 5 * number, with_mask=every_frame) for number in range(5)}

    answered = with_tracked(parsed(keyframe(1504)), results, frames, SIZE, every_frame=every_frame)

    numbers = [one["frame"] for one in answered["value"]["sequence"] if one["frame"] <= 1503]
    assert numbers == [1, 2, 3, 1500, 1501, 1502] if every_frame else set(numbers) >= {1, 3, 1500, 1502}
    for number in (3, 700, 1500):
        assert shown(answered, number) == pytest.approx(percent(tracked(20).box), abs=0.01)


def test_a_correction_behind_a_still_leaves_the_still_as_it_was() -> None:
    frames = FrameMap(np.array([0, 0.04, 0.08, 60.0, 60.04]), 25, 1502)
    results = {number: tracked(10 + 5 * number) for number in range(5)}
    before = with_tracked(parsed(keyframe(1)), results, frames, SIZE)

    after = with_tracked(from_regions([before])[0], {3: tracked(50), 4: tracked(55)}, frames, SIZE)

    for number in (2, 3, 4, 700, 1499, 1500):
        assert shown(after, number) == pytest.approx(shown(before, number))
    assert shown(after, 1501) == pytest.approx(percent(tracked(50).box), abs=0.01)


def test_a_box_that_is_drawn_while_the_sound_goes_on_stays_where_it_was_drawn() -> None:
    frames = FrameMap(np.arange(COUNT) / 25, 25, 5 * COUNT)

    answered = with_tracked(parsed(keyframe(70)), {COUNT - 1: tracked(30)}, frames, SIZE)

    assert [one["frame"] for one in answered["value"]["sequence"]] == [COUNT, 70]
    assert answered["value"]["sequence"][-1]["enabled"] is True
    assert answered["value"]["sequence"][-1]["x"] == 10
