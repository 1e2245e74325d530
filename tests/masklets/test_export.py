"""What is read of an export, and what is said to be missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sam2.errors import RequestError
from label_studio_sam2.masklets.clip import Clip
from label_studio_sam2.masklets.convert import convert
from label_studio_sam2.masklets.export import read
from label_studio_sam2.masklets.format import Format
from label_studio_sam2.masklets.report import Lack, Report
from label_studio_sam2.masklets.sources import Sources
from label_studio_sdk.converter import Converter

from tests.masklets.exports import FRAMES, Json, annotation, task, track, two_objects, write

TRAFFIC = Path(__file__).parent.parent / "traffic"

CONFIG = """<View>
  <Labels name="labels" toName="video" allowEmpty="true"><Label value="Player"/></Labels>
  <Video name="video" value="$video" framerate="25.0"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>"""


def ring() -> Json:
    return track(two_objects()[:, 0])


def written(path: Path, out: Path, **options: Any) -> tuple[Json, Report]:
    """The YouTube-VOS file that an export becomes."""
    report = convert(path, out, Format.YOUTUBE_VOS, Sources(), **options)
    return (json.loads((out / "annotations.json").read_text()) if report.masks else {}), report


def frames(video: Json) -> list[int]:
    return [int(Path(name).stem) for name in video["file_names"]]


def ids(whole: Json) -> list[int]:
    return [video["annotation_id"] for video in whole["videos"]]


def test_json_min_as_label_studio_makes_it_gives_the_same_masks(tmp_path: Path) -> None:
    masks = two_objects()
    path = write(
        tmp_path / "export.json",
        task(
            annotation(
                [track(masks[:, 0]), track(masks[:, 1], "bar", [])], 1, updated_at="2026-11-24T00:00:00Z"
            ),
            annotation([ring()], 2),
        ),
        task(annotation([ring()], 3), number=6, address="s3://bucket/other.mp4?a=b"),
    )
    converter = Converter(CONFIG, str(tmp_path), download_resources=False)
    converter.convert_to_json_min(str(path), str(tmp_path / "min"), is_dir=False)
    whole, report = written(path, tmp_path / "out")
    minimal, minimal_report = written(tmp_path / "min" / "result.json", tmp_path / "min-out")
    assert len(whole["annotations"]) == 3
    assert minimal == whole
    assert report == minimal_report


def test_of_several_annotations_the_one_submitted_last_counts_and_skipped_ones_never(tmp_path: Path) -> None:
    path = write(
        tmp_path / "export.json",
        task(
            annotation([ring()], 3),
            annotation([ring()], 1),
            annotation([ring()], 2),
            annotation([ring()], 4, was_cancelled=True),
        ),
    )
    last, _ = written(path, tmp_path / "last")
    every, _ = written(path, tmp_path / "every", every=True)
    assert ids(last) == [3]
    assert ids(every) == [1, 2, 3]
    assert len({video["file_names"][0] for video in every["videos"]}) == 3


def test_tasks_without_a_submitted_annotation_are_counted(tmp_path: Path) -> None:
    skipped = task(annotation([ring()], was_cancelled=True))
    picture = annotation(
        [{"id": "a", "type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 1, "height": 1}}]
    )
    imported = {"id": 9, "data": {"video": "/a.mp4"}}
    path = write(tmp_path / "export.json", skipped, imported, task(number=7), task(picture, number=8))
    _, report = written(path, tmp_path / "out")
    assert report.lacks == {Lack.NO_ANNOTATION: 3, Lack.NO_REGIONS: 1}


@pytest.mark.parametrize(
    "name", ["export_json_video.json", "export_json_video_interpolated.json", "annotation_saved_video.json"]
)
def test_recorded_exports_hold_a_region_without_masks_which_is_said(tmp_path: Path, name: str) -> None:
    for form in Format:
        report = convert(TRAFFIC / name, tmp_path / form, form, Sources())
        assert report.lacks == {Lack.NO_MASKS: 1}
        assert (report.masks, list((tmp_path / form).iterdir())) == (0, [])


def test_a_recorded_export_with_masks_in_its_keyframes_is_written(tmp_path: Path) -> None:
    tasks = json.loads((TRAFFIC / "export_json_video.json").read_text())
    tasks[0]["annotations"][0]["result"] = [ring()]
    whole, report = written(write(tmp_path / "export.json", *tasks), tmp_path / "out")
    assert ids(whole) == [2]
    assert report.masks == FRAMES
    assert not report.lacks


def keyframe(region: Json, frame: int) -> Json:
    found: Json = next(one for one in region["value"]["sequence"] if one["frame"] == frame)
    return found


def drop_mask(region: Json) -> None:
    del keyframe(region, 4)["rle"]


def drop_keyframe(region: Json) -> None:
    region["value"]["sequence"].remove(keyframe(region, 4))


def move(region: Json) -> None:
    keyframe(region, 4)["x"] += 2


def move_the_annotators_own(region: Json) -> None:
    keyframe(region, 1)["width"] += 2


def resize(region: Json) -> None:
    keyframe(region, 4)["rle"]["size"] = [80, 32]


def shorten(region: Json) -> None:
    rle = keyframe(region, 4)["rle"]
    rle["counts"] = rle["counts"][:-2]


def garble(region: Json) -> None:
    keyframe(region, 4)["rle"] = [1, 2, 3]


def inflate(region: Json) -> None:
    keyframe(region, 4)["rle"] = {"size": [10**9, 10**9], "counts": "1"}


def untrack(region: Json) -> None:
    region["meta"]["tracked"] = [1, 9]
    del region["value"]["sequence"][9:]
    keyframe(region, 9)["enabled"] = False


CASES: dict[Callable[[Json], None], tuple[Lack, list[int]]] = {
    drop_mask: (Lack.NO_MASK, [3]),
    drop_keyframe: (Lack.NO_MASK, [3]),
    move: (Lack.STALE, [3]),
    move_the_annotators_own: (Lack.STALE, [0]),
    resize: (Lack.OTHER_SIZE, [3]),
    shorten: (Lack.DAMAGED, [3]),
    garble: (Lack.DAMAGED, [3]),
    inflate: (Lack.DAMAGED, [3]),
    untrack: (Lack.NOT_TRACKED, [9, 10, 11]),
}
"""What happened to a region, what is said, and the frames that can't be used."""


@pytest.mark.parametrize("spoil", CASES)
def test_frames_that_lack_an_objects_mask_are_left_out_and_said(
    tmp_path: Path, spoil: Callable[[Json], None]
) -> None:
    lack, lost = CASES[spoil]
    region = ring()
    spoil(region)
    other = track(two_objects()[:, 0], "other")
    path = write(tmp_path / "export.json", task(annotation([region, other])))
    whole, report = written(path, tmp_path / "out")
    assert frames(whole["videos"][0]) == [frame for frame in range(FRAMES) if frame not in lost]
    assert report.lacks == {lack: len(lost), Lack.LEFT_OUT: len(lost)}
    assert "region ring" in report.examples[lack]
    assert f"frame {lost[0] + 1}" in report.examples[lack]
    assert all(None not in row["segmentations"] for row in whole["annotations"])
    assert report.masks == 2 * (FRAMES - len(lost))


def test_a_hidden_object_has_no_mask_and_its_frames_stay(tmp_path: Path) -> None:
    region = ring()
    keyframe(region, 4)["enabled"] = False
    drop = [keyframe(region, 5), keyframe(region, 6)]
    region["value"]["sequence"] = [one for one in region["value"]["sequence"] if one not in drop]
    whole, report = written(write(tmp_path / "export.json", task(annotation([region]))), tmp_path / "out")
    empty = [frame for frame, rle in enumerate(whole["annotations"][0]["segmentations"]) if rle is None]
    assert (empty, frames(whole["videos"][0])) == ([4, 5], list(range(FRAMES)))
    assert not report.lacks


def test_masks_of_another_backend_count_where_the_box_is_the_masks(tmp_path: Path) -> None:
    region = track(two_objects()[:, 1])
    for one in region["value"]["sequence"]:
        one.pop("auto", None)
        one.pop("answered", None)
    first = region["value"]["sequence"][0]
    whole, report = written(write(tmp_path / "export.json", task(annotation([region]))), tmp_path / "out")
    assert report.lacks == {Lack.STALE: 1, Lack.LEFT_OUT: 1}
    assert first["frame"] - 1 not in frames(whole["videos"][0])


def test_a_region_without_masks_does_not_take_frames_from_the_others(tmp_path: Path) -> None:
    bare = track(two_objects()[:, 0], "bare")
    for one in bare["value"]["sequence"]:
        one.pop("rle")
    broken = track(two_objects()[:, 0], "broken")
    broken["value"]["sequence"][0]["x"] = "left"
    path = write(tmp_path / "export.json", task(annotation([bare, broken, ring()])))
    whole, report = written(path, tmp_path / "out")
    assert (len(whole["annotations"]), report.frames, report.masks) == (1, FRAMES, FRAMES)
    assert report.lacks == {Lack.NO_MASKS: 1, Lack.UNREADABLE_REGION: 1}


def test_numbers_of_frames_that_would_fill_the_memory_are_refused(tmp_path: Path) -> None:
    region = ring()
    region["value"]["framesCount"] = 10**12
    _, report = written(write(tmp_path / "export.json", task(annotation([region]))), tmp_path / "out")
    assert report.lacks[Lack.UNREADABLE_REGION] == 1


def test_an_export_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(annotation([ring()])), task(annotation([ring()]), number=6))
    path.write_bytes(path.read_bytes()[:-200])
    whole, report = written(path, tmp_path / "out")
    assert [video["task_id"] for video in whole["videos"]] == [5]
    assert report.lacks == {Lack.BROKEN_OFF: 1}


def test_one_task_alone_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_bytes(b"\xef\xbb\xbf \n" + json.dumps(task(annotation([ring()]))).encode())
    whole, _ = written(path, tmp_path / "out")
    assert [video["task_id"] for video in whole["videos"]] == [5]


@pytest.mark.parametrize("content", [b"", b"id,video\n1,a.mp4\n", b"[1, 2]", b"[nonsense", b"{", b"\x00\xff"])
def test_what_is_no_export_is_refused_with_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(RequestError, match="export"):
        convert(path, tmp_path / "out", Format.COCO, Sources())


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    "id",
    "annotations",
    "result",
    "value",
    "sequence",
    "frame",
    "x",
    "rle",
    "size",
    "counts",
    "data",
    "labels",
)


@st.composite
def spoiled(draw: st.DrawFn) -> Json:
    """A task in which any one value is replaced by any other."""
    whole = json.loads(json.dumps(task(annotation([track(two_objects()[:2, 0], frames=2)]))))
    here: Any = whole
    while True:
        key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], dict | list) or not here[key] or draw(st.integers(0, 5)) == 0:
            here[key] = draw(json_values)
            return whole  # type: ignore[no-any-return]
        here = here[key]


@given(spoiled())
@settings(max_examples=60)
def test_any_wrong_value_in_an_export_is_passed_over(whole: Json) -> None:
    report = Report()
    clips = [
        Clip.of(annotation, "clip", None, report)
        for annotation in read(BytesIO(json.dumps([whole]).encode()), report)
    ]
    assert len(clips) <= 1
    for clip in clips:
        assert clip is None or 0 < len(clip.masklets) <= 1


@given(st.lists(json_values, max_size=3) | json_values)
@settings(max_examples=60)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        assert list(read(BytesIO(json.dumps(content).encode()), Report())) == []
    except RequestError as error:
        assert "export" in error.detail  # noqa: PT017  either is right


def test_files_are_named_after_the_videos_and_never_twice_or_elsewhere(tmp_path: Path) -> None:
    addresses = [
        "/data/upload/4/08e54ecd-match.mp4",
        "s3://bucket/one/match.mp4",
        "s3://bucket/two/Match.mp4",
        "/data/local-files/?d=clips/on%20court.mp4",
        "https://example.org/../..%2F..%2Fetc/passwd.mp4?token=secret",
        "https://example.org/..",
        "data:video/mp4;base64,AAAA/BBBB.mp4",
    ]
    tasks = [
        task(annotation([track(np.ones((1, 40, 64), np.bool_), frames=1)]), number=number, address=address)
        for number, address in enumerate(addresses, start=1)
    ]
    convert(write(tmp_path / "export.json", *tasks), tmp_path / "out", Format.DAVIS, Sources())
    assert sorted(path.name for path in (tmp_path / "out" / "Annotations").iterdir()) == [
        "08e54ecd-match",
        "Match-3",
        "match",
        "on_court",
        "passwd",
        "task-6",
        "task-7",
    ]


def test_a_folder_that_holds_something_is_not_written_into(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(annotation([ring()])))
    with pytest.raises(RequestError, match="isn't an empty folder"):
        convert(path, tmp_path, Format.COCO, Sources())
    with pytest.raises(RequestError, match="isn't a file"):
        convert(tmp_path / "missing.json", tmp_path / "out", Format.COCO, Sources())
