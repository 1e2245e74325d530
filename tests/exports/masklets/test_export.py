"""What is read of an export, and what is said to be missing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sam2.errors import RequestError
from label_studio_sam2.exports.files import Part
from label_studio_sam2.exports.masklets.annotation import Annotation
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.masklets.convert import convert
from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.exports.submitted import Export
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.media_files.videos import Video
from label_studio_sdk.converter import Converter

from tests.fakes.clips import write_clip, write_with_sound
from tests.fakes.exports import FRAMES, Json, annotation, task, track, two_objects, write

TRAFFIC = Path(__file__).parents[2] / "traffic"

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
    assert report.lacks == minimal_report.lacks == {Lack.NO_LABEL: 1}
    assert (report.masks, report.frames) == (minimal_report.masks, minimal_report.frames)


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


def rows(*numbers: int, number: int = 5) -> list[Json]:
    """A task's annotations as a target storage writes them: a file each, with the task in it."""
    whole = task(number=number)
    return [annotation([ring()], one) | {"task": {"id": number, "data": whole["data"]}} for one in numbers]


def as_storage(folder: Path, *found: Json) -> Path:
    folder.mkdir()
    for one in found:
        (folder / str(one["id"])).write_text(json.dumps(one))
    return folder


def test_files_of_a_target_storage_give_one_clip_a_task_named_after_its_video(tmp_path: Path) -> None:
    folder = as_storage(tmp_path / "storage", *rows(1, 3, 2), *rows(4, number=6))
    (folder / "readme.txt").write_text("not JSON")
    last, report = written(folder, tmp_path / "out")
    assert sorted((video["task_id"], ids({"videos": [video]})[0]) for video in last["videos"]) == [
        (5, 3),
        (6, 4),
    ]
    assert all(video["file_names"][0].startswith("08e54ecd-match") for video in last["videos"])
    assert report.lacks == {Lack.NO_JSON: 1}
    every, _ = written(folder, tmp_path / "every", every=True)
    assert sorted(ids(every)) == [1, 2, 3, 4]


def test_one_file_of_a_target_storage_finds_its_video(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_clip(tmp_path / "videos" / "match.mp4", frames=FRAMES, size=(64, 40))
    (one,) = rows(7)
    path = tmp_path / "7"
    path.write_text(json.dumps(one))
    report = convert(path, tmp_path / "out", Format.COCO, Sources(tmp_path / "videos"))
    assert (report.by_source, report.masks) == (1, FRAMES)
    assert not report.lacks


def test_annotations_of_a_task_that_stand_apart_are_still_one_tasks(tmp_path: Path) -> None:
    first, second = rows(1, 2)
    path = write(tmp_path / "export.json", second, *rows(3, number=6), first)
    whole, _ = written(path, tmp_path / "out")
    assert [video["task_id"] for video in whole["videos"]] == [5, 6]
    assert ids(whole) == [2, 3]


def test_an_annotation_of_the_api_that_has_its_tasks_number_only_is_that_tasks(tmp_path: Path) -> None:
    path = tmp_path / "annotation.json"
    path.write_text(json.dumps(annotation([ring()], 9) | {"task": 5}))
    whole, _ = written(path, tmp_path / "out")
    assert [(video["task_id"], video["annotation_id"]) for video in whole["videos"]] == [(5, 9)]


def lines(tasks: list[Json]) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in tasks)


def zipped(content: bytes) -> bytes:
    out = BytesIO()
    with ZipFile(out, "w") as archive:
        archive.writestr("export/project-1.json", content)
        archive.writestr("export/notes.txt", "not JSON")
    return out.getvalue()


FORMS: dict[str, Callable[[list[Json]], bytes]] = {
    "JSON Lines": lines,
    "UTF-16": lambda tasks: json.dumps(tasks).encode("utf-16"),
    "UTF-16, big end first": lambda tasks: b"\xfe\xff" + json.dumps(tasks).encode("utf-16-be"),
    "UTF-16 without a mark": lambda tasks: json.dumps(tasks).encode("utf-16-le"),
    "UTF-16 Lines": lambda tasks: lines(tasks).decode().encode("utf-16"),
    "zip": lambda tasks: zipped(json.dumps(tasks).encode()),
    "zip of Lines in UTF-16": lambda tasks: zipped(lines(tasks).decode().encode("utf-16")),
    "gzip": lambda tasks: gzip.compress(json.dumps(tasks).encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_read_in_whatever_form_it_was_saved(tmp_path: Path, form: str) -> None:
    tasks = [task(annotation([track(two_objects()[:, 1], "bär")])), task(annotation([ring()]), number=6)]
    path = tmp_path / "export"
    path.write_bytes(FORMS[form](tasks))
    whole, report = written(path, tmp_path / "out")
    assert [video["task_id"] for video in whole["videos"]] == [5, 6]
    assert not report.lacks


@pytest.mark.parametrize("form", ["JSON Lines", "UTF-16"])
def test_whatever_breaks_off_gives_what_came_before(tmp_path: Path, form: str) -> None:
    tasks = [task(annotation([ring()]), number=number) for number in (5, 6, 7, 8)]
    path = tmp_path / "export"
    content = FORMS[form](tasks)
    path.write_bytes(content[:-20])
    whole, report = written(path, tmp_path / "out")
    assert [video["task_id"] for video in whole["videos"]] in ([5, 6], [5, 6, 7])
    assert report.lacks == {Lack.BROKEN_OFF: 1}


def test_a_region_without_a_label_is_said_and_written_as_an_object(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(annotation([track(two_objects()[:, 0], "bare", [])])))
    report = convert(path, tmp_path / "out", Format.COCO, Sources())
    assert report.lacks == {Lack.NO_LABEL: 1}
    assert "region bare" in report.examples[Lack.NO_LABEL]
    (category,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["categories"]
    assert category["name"] == "object"


def test_sound_that_goes_on_after_the_picture_takes_nothing_from_the_masks(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    path = write_with_sound(tmp_path / "videos" / "match.mp4", frames=FRAMES, seconds=2)
    video = Video.open(path)
    frames = FrameMap.of(video, 25, Counted())
    masks = np.zeros((FRAMES, *video.size), np.bool_)
    masks[:, 10:30, 20:50] = True
    region = track(masks, frames=frames.count, times=video.times, size=video.size)
    assert region["value"]["framesCount"] > FRAMES
    assert [one["frame"] for one in region["value"]["sequence"]] == list(range(1, FRAMES + 1))
    assert region["value"]["sequence"][-1]["enabled"] is True
    path = write(tmp_path / "export.json", task(annotation([region])))
    report = convert(path, tmp_path / "out", Format.COCO, Sources(tmp_path / "videos"))
    assert (report.frames, report.masks, report.lacks) == (FRAMES, FRAMES, {})


def test_a_recording_with_an_absolute_clock_keeps_its_masks(tmp_path: Path) -> None:
    times = [90_000_000 + 40 * number for number in range(FRAMES)]
    (tmp_path / "videos").mkdir()
    path = write_clip(tmp_path / "videos" / "match.mkv", milliseconds=times, frames=FRAMES, size=(64, 40))
    video = Video.open(path)
    frames = FrameMap.of(video, 25, Counted())
    region = track(two_objects()[:, 0], frames=frames.count, times=video.times)
    assert len(region["value"]["sequence"]) == FRAMES + 1
    whole = task(annotation([region]), address="/data/upload/4/08e54ecd-match.mkv")
    report = convert(
        write(tmp_path / "export.json", whole), tmp_path / "out", Format.COCO, Sources(tmp_path / "videos")
    )
    assert (report.frames, report.masks, report.lacks) == (FRAMES, FRAMES, {})


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


def held(content: Any) -> Part:
    return Part("export.json", lambda: BytesIO(json.dumps(content).encode()))


@given(spoiled())
@settings(max_examples=60)
def test_any_wrong_value_in_an_export_is_passed_over(whole: Json) -> None:
    report = Report()
    clips = [
        Clip.of(annotation, "clip", None, report)
        for one in Export.of([held([whole])], report)
        if (annotation := Annotation.of(one, report))
    ]
    assert len(clips) <= 1
    for clip in clips:
        assert clip is None or 0 < len(clip.masklets) <= 1


@given(st.lists(json_values, max_size=3) | json_values)
@settings(max_examples=60)
def test_any_json_is_read_or_refused(content: Any) -> None:
    try:
        assert not any(Annotation.of(one, Report()) for one in Export.of([held(content)], Report()))
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
