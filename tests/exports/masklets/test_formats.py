"""What each format's own reader finds in what was written: the masks that were tracked, on their frames, else none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sam2.exports.masklets import davis
from label_studio_sam2.exports.masklets.convert import convert
from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.exports.masklets.masklet import Masklet
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.fakes.clips import write_clip
from tests.fakes.exports import (
    ADDRESS,
    FRAMES,
    HIDDEN,
    RATE,
    SIZE,
    annotation,
    task,
    track,
    two_objects,
    write,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""pycocotools' own arrays, which NumPy 2 warns of."""

VIDEO_NAME = "08e54ecd-match"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    masks = two_objects()
    regions = [track(masks[:, 0]), track(masks[:, 1], "bar", ["Racket"])]
    return write(tmp_path / "export.json", task(annotation(regions)))


def numbers(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The first object that has a pixel, numbered from 1, by frame and pixel."""
    first = np.where(masks.any(axis=1), masks.argmax(axis=1) + 1, 0)
    return first.astype(np.uint8)


def test_davis_holds_a_numbered_picture_for_every_frame(export: Path, tmp_path: Path) -> None:
    report = convert(export, tmp_path / "out", Format.DAVIS, Sources())
    folder = tmp_path / "out" / "Annotations" / VIDEO_NAME
    pictures = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            assert picture.mode == "P"
            assert picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]  # type: ignore[index]
            pictures.append(np.asarray(picture))
    assert [path.name for path in sorted(folder.iterdir())] == [f"{frame:05}.png" for frame in range(FRAMES)]
    np.testing.assert_array_equal(pictures, numbers(two_objects()))
    overlapping = np.count_nonzero(two_objects().all(axis=1).any(axis=(1, 2)))
    assert overlapping
    assert report.lacks == {Lack.OVERLAP: overlapping}
    assert (report.clips, report.frames, report.masks) == (1, FRAMES, 2 * FRAMES - len(HIDDEN))


def test_davis_says_in_its_labels_what_each_number_is(export: Path, tmp_path: Path) -> None:
    convert(export, tmp_path / "out", Format.DAVIS, Sources())
    labels = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert labels == {
        VIDEO_NAME: {
            "task": 5,
            "annotation": 2,
            "address": ADDRESS,
            "numbered_by": "Label Studio's frames",
            "rate": RATE,
            "length": FRAMES,
            "objects": {
                "1": {"label": "Player", "region": "ring", "look_at": []},
                "2": {"label": "Racket", "region": "bar", "look_at": []},
            },
        }
    }


@pytest.mark.parametrize("by_meta", [True, False], ids=["in the region's meta", "in the keyframes alone"])
def test_frames_to_look_at_are_flagged_in_every_data_set(tmp_path: Path, by_meta: bool) -> None:
    """JSON_MIN has no meta."""
    region = track(two_objects()[:, 0])
    if by_meta:
        region["meta"]["look_at"] = [[2, 3], [5, 5]]
    else:
        for one in region["value"]["sequence"]:
            one.update({"look_at": True} if one["frame"] in {2, 3, 5} else {})
    export = write(tmp_path / "export.json", task(annotation([region])))
    read = {}
    for form in (Format.DAVIS, Format.COCO, Format.YOUTUBE_VOS):
        convert(export, tmp_path / form, form, Sources())
        name = "labels.json" if form is Format.DAVIS else "annotations.json"
        read[form] = json.loads((tmp_path / form / name).read_text())
    flagged = [1, 2, 4]
    assert read[Format.DAVIS][VIDEO_NAME]["objects"]["1"]["look_at"] == flagged
    frames = {image["id"]: image["frame_id"] for image in read[Format.COCO]["images"]}
    annotations = read[Format.COCO]["annotations"]
    assert [frames[one["image_id"]] for one in annotations if one["look_at"]] == flagged
    (object_,) = read[Format.YOUTUBE_VOS]["annotations"]
    assert [frame for frame, flag in enumerate(object_["look_at"]) if flag] == flagged


def test_a_davis_picture_holds_255_objects_and_the_rest_is_named(tmp_path: Path) -> None:
    dots = np.zeros((257, 1, *SIZE), np.bool_)
    for number in range(257):
        dots[number, 0, number // 64, number % 64] = True
    regions = [track(dot, str(number), frames=1) for number, dot in enumerate(dots)]
    report = convert(
        write(tmp_path / "export.json", task(annotation(regions))), tmp_path / "out", Format.DAVIS, Sources()
    )
    with Image.open(tmp_path / "out" / "Annotations" / VIDEO_NAME / "00000.png") as picture:
        drawn = np.asarray(picture)
    assert drawn.reshape(-1)[:258].tolist() == [*range(1, 256), 0, 0, 0]
    assert (report.masks, report.lacks) == (255, {Lack.TOO_MANY: 2})


def test_davis_colours_are_those_of_the_data_set() -> None:
    palette = np.frombuffer(davis.palette(), np.uint8).reshape(256, 3)
    assert palette[[1, 7, 8, 64, 255]].tolist() == [
        [128, 0, 0],
        [128, 128, 128],
        [64, 0, 0],
        [32, 0, 0],
        [224, 224, 192],
    ]


def test_coco_has_an_image_a_frame_and_an_annotation_a_mask(export: Path, tmp_path: Path) -> None:
    convert(export, tmp_path / "out", Format.COCO, Sources())
    coco = COCO(tmp_path / "out" / "annotations.json")
    masks = two_objects()
    assert [row["name"] for row in coco.loadCats(coco.getCatIds())] == ["Player", "Racket"]
    found = np.zeros_like(masks)
    for row in coco.loadAnns(coco.getAnnIds()):
        image = coco.imgs[row["image_id"]]
        assert image["file_name"] == f"{VIDEO_NAME}/{image['frame_id']:05}.jpg"
        truth = masks[image["frame_id"], row["category_id"] - 1]
        assert row["instance_id"] == row["category_id"]
        assert row["area"] == truth.sum()
        box = tight_box(truth)
        assert box
        assert row["bbox"] == [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0]
        found[image["frame_id"], row["category_id"] - 1] = coco.annToMask(row)
    assert len(coco.imgs) == FRAMES
    np.testing.assert_array_equal(found, masks)


def test_regions_with_one_label_are_one_category_and_several_instances(tmp_path: Path) -> None:
    masks = two_objects()
    regions = [track(masks[:, 0]), track(masks[:, 1], "bar"), track(masks[:, 1], "none", [])]
    path = write(tmp_path / "export.json", task(annotation(regions)), task(annotation(regions[:1]), number=6))
    convert(path, tmp_path / "out", Format.COCO, Sources())
    whole = json.loads((tmp_path / "out" / "annotations.json").read_text())
    pairs = {(row["video_id"], row["instance_id"], row["category_id"]) for row in whole["annotations"]}
    assert pairs == {(1, 1, 1), (1, 2, 1), (1, 3, 2), (2, 4, 1)}
    assert [row["name"] for row in whole["categories"]] == ["Player", "object"]
    assert [row["name"] for row in whole["videos"]] == [VIDEO_NAME, f"{VIDEO_NAME}-6"]


def test_youtube_vos_lists_each_objects_masks_with_null_where_it_is_hidden(
    export: Path, tmp_path: Path
) -> None:
    convert(export, tmp_path / "out", Format.YOUTUBE_VOS, Sources())
    whole = json.loads((tmp_path / "out" / "annotations.json").read_text())
    video = whole["videos"][0]
    assert video["file_names"] == [f"{VIDEO_NAME}/{frame:05}.jpg" for frame in range(FRAMES)]
    assert (video["height"], video["width"], video["length"]) == (*SIZE, FRAMES)
    for place, row in enumerate(whole["annotations"]):
        masks = two_objects()[:, place]
        seen = [rle is not None for rle in row["segmentations"]]
        assert seen == masks.any(axis=(1, 2)).tolist()
        assert seen == [one is not None for one in row["bboxes"]] == [one is not None for one in row["areas"]]
        for frame in np.flatnonzero(seen):
            np.testing.assert_array_equal(coco_mask.decode(row["segmentations"][frame]), masks[frame])
            assert row["areas"][frame] == masks[frame].sum()
            assert row["bboxes"][frame] == coco_mask.toBbox(row["segmentations"][frame]).tolist()


drawn = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.integers(0, 30), st.integers(0, 50), st.integers(1, 10), st.integers(1, 14)),
    ),
    min_size=1,
    max_size=12,
).filter(any)


@given(drawn)
@settings(max_examples=40)
def test_a_masklet_has_what_was_tracked_on_each_frame_and_nothing_on_the_others(
    boxes: list[tuple[int, int, int, int] | None],
) -> None:
    masks = np.zeros((len(boxes), *SIZE), np.bool_)
    for bitmap, box in zip(masks, boxes, strict=True):
        if box:
            top, left, height, width = box
            bitmap[top : top + height, left : left + width] = True
    region = VideoRegion.parse(track(masks, frames=len(boxes)))
    report = Report()
    numbering = [range(number, number + 1) for number in range(1, len(boxes) + 1)]
    masklet = Masklet.read(region, SIZE, numbering, report, "clip")
    assert masklet
    assert not report.lacks
    assert not masklet.unknown
    assert set(masklet.masks) == set(np.flatnonzero(masks.any(axis=(1, 2))))
    for frame, rle in masklet.masks.items():
        np.testing.assert_array_equal(rle.bitmap(), masks[frame])


@pytest.mark.parametrize(("editor_rate", "missing"), [(25.0, 0), (24.0, 1), (12.5, 12), (50.0, 0)])
def test_with_the_video_at_hand_frames_are_the_files_whatever_the_editor_counts(
    tmp_path: Path, editor_rate: float, missing: int
) -> None:
    count = 24
    (tmp_path / "videos").mkdir()
    video = write_clip(tmp_path / "videos" / "match.mp4", frames=count, size=SIZE[::-1])
    times = Video.open(video).times
    masks = {frame: _dot(frame) for frame in range(count)}
    numbers = round(count / 25 * editor_rate)
    region = track(masks, frames=numbers, rate=editor_rate, times=times)
    path = write(tmp_path / "export.json", task(annotation([region])))
    report = convert(path, tmp_path / "out", Format.DAVIS, Sources(tmp_path / "videos"))
    written = {}
    for file in (tmp_path / "out" / "Annotations" / VIDEO_NAME).iterdir():
        with Image.open(file) as picture:
            written[int(file.stem)] = np.asarray(picture) > 0
    shown = {FrameMap(times, editor_rate, numbers).source(number) for number in range(1, numbers + 1)}
    assert set(written) == shown
    for frame, bitmap in written.items():
        np.testing.assert_array_equal(bitmap, masks[frame])
    assert report.by_source == 1
    assert report.lacks == ({Lack.NOT_COUNTED: missing} if missing else {})


def _dot(frame: int) -> Bitmap:
    bitmap = np.zeros(SIZE, np.bool_)
    bitmap[10 + frame : 14 + frame, 2 * frame : 2 * frame + 5] = True
    return bitmap


def test_of_the_editors_frames_that_show_the_same_frame_any_may_have_its_mask(
    tmp_path: Path,
) -> None:
    (tmp_path / "videos").mkdir()
    video = write_clip(tmp_path / "videos" / "match.mp4", frames=4, size=SIZE[::-1])
    masks = {frame: _dot(frame) for frame in range(4)}
    region = track(masks, frames=8, rate=50.0, times=Video.open(video).times)
    for keyframe in region["value"]["sequence"][::2]:
        del keyframe["rle"]
    path = write(tmp_path / "export.json", task(annotation([region])))
    report = convert(path, tmp_path / "out", Format.DAVIS, Sources(tmp_path / "videos"))
    assert (report.frames, report.masks) == (4, 4)
