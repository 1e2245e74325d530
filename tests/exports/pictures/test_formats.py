"""What each format's reader finds of the same objects: a car with a hole and two parts, and a van."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from label_studio_sam2.exports.format import OF_PICTURES, Format
from label_studio_sam2.exports.report import Lack
from label_studio_sam2.geometry import iou, rotated_corners, tight_box
from label_studio_sam2.types import Bitmap, Box, Size
from PIL import Image

from tests.fakes import readers
from tests.fakes.annotated import (
    SIZE,
    annotation,
    block,
    brush,
    picture,
    polygon,
    rectangle,
    ring_and_dot,
    save,
    task,
    two_objects,
)
from tests.fakes.exporting import exported
from tests.fakes.readers import Seen

POLYGON_IOU = 0.98
"""Of outlines, filled as trainers fill them, with the pixels that they were traced from."""

TRUTH = {"Car": ring_and_dot(), "Van": block(4, 50, 30, 58)}


def bitmaps(seen: list[Seen]) -> dict[str, Bitmap]:
    assert len({one.label for one in seen}) == len(seen)
    return {one.label: one.bitmap for one in seen if one.bitmap is not None}


@pytest.mark.parametrize("form", [Format.COCO, Format.PNG, Format.VOC])
def test_formats_of_pixels_hold_every_pixel(tmp_path: Path, form: Format) -> None:
    out, report = exported(tmp_path, form, task(annotation(*two_objects())))
    read = {
        Format.COCO: lambda: readers.coco(out / "annotations.json"),
        Format.PNG: lambda: readers.each_png(out),
        Format.VOC: lambda: readers.voc(out),
    }[form]()
    found = bitmaps(read["street.png"])
    assert {label: iou(found[label], TRUTH[label]) for label in TRUTH} == {"Car": 1.0, "Van": 1.0}
    assert (report.masks, report.pictures, dict(report.lacks)) == (2, 1, {})


def test_coco_polygons_and_yolo_outlines_enclose_the_pixels(tmp_path: Path) -> None:
    tasks = (task(annotation(*two_objects())),)
    out, _ = exported(tmp_path, Format.COCO_POLYGONS, *tasks)
    by_coco = bitmaps(readers.coco(out / "annotations.json")["street.png"])
    annotations = json.loads((out / "annotations.json").read_text())["annotations"]
    assert [len(one["segmentation"]) for one in annotations] == [2, 1]  # a ring a part
    out, _ = exported(tmp_path, Format.YOLO, *tasks)
    by_yolo = bitmaps(readers.yolo(out, SIZE)["street"])
    for found in (by_coco, by_yolo):
        assert all(iou(found[label], TRUTH[label]) >= POLYGON_IOU for label in TRUTH)


def test_boxes_are_tight(tmp_path: Path) -> None:
    tasks = (task(annotation(*two_objects())),)
    truth = {label: tight_box(bitmap) for label, bitmap in TRUTH.items()}
    out, _ = exported(tmp_path, Format.YOLO_BOX, *tasks)
    for one in readers.yolo(out, SIZE)["street"]:
        assert one.box == pytest.approx(truth[one.label], abs=1e-4)
    for form, read in (
        (Format.VOC, readers.voc),
        (Format.COCO, lambda at: readers.coco(at / "annotations.json")),
    ):
        out, _ = exported(tmp_path, form, *tasks)
        assert {one.label: one.box for one in read(out)["street.png"]} == truth


def test_a_turned_box_keeps_its_corners_and_other_shapes_get_the_smallest_one(tmp_path: Path) -> None:
    drawn = rectangle((30, 10, 60, 22), rotation=25, id="r")
    slanted = polygon(rotated_corners(Box(10, 30, 40, 38), 20)[[2, 0, 1, 3]], "Van", id="p")  # a butterfly
    out, _ = exported(tmp_path, Format.YOLO_OBB, task(annotation(drawn, slanted)))
    by_label = {one.label: one.corners for one in readers.yolo(out, SIZE)["street"]}
    assert by_label["Car"] == pytest.approx(rotated_corners(Box(30, 10, 60, 22), 25), abs=1e-3)
    van = by_label["Van"]
    assert van is not None
    sides = np.sort(np.hypot(*(np.roll(van, -1, axis=0) - van).T))
    assert sides == pytest.approx([8, 8, 30, 30], abs=0.01)


def test_corners_that_were_drawn_are_the_corners_that_are_written(tmp_path: Path) -> None:
    corners = [(60.5, 10.25), (78, 12), (70, 40)]
    out, _ = exported(tmp_path, Format.YOLO, task(annotation(polygon(corners, id="p"))))
    assert readers.yolo(out, SIZE)["street"][0].corners == pytest.approx(np.array(corners), abs=1e-3)


def test_corners_outside_of_the_picture_are_moved_to_its_edge(tmp_path: Path) -> None:
    outside = rectangle((60, 40, 100, 80), rotation=10, id="r")
    for form in (Format.YOLO, Format.YOLO_OBB, Format.YOLO_BOX):
        out, _ = exported(tmp_path, form, task(annotation(outside)))
        assert len(readers.yolo(out, SIZE)["street"]) == 1


def test_in_pictures_of_numbers_the_smaller_object_has_the_pixel_and_it_is_said(tmp_path: Path) -> None:
    whole, part = brush(block(0, 0, 40, 40), id="a"), brush(block(10, 10, 20, 20), "Van", id="b")
    out, report = exported(tmp_path, Format.SEMANTIC, task(annotation(part, whole)))
    found = readers.semantic(out)["street.png"]
    assert np.array_equal(found["Van"], block(10, 10, 20, 20))
    assert np.array_equal(found["Car"], block(0, 0, 40, 40) & ~block(10, 10, 20, 20))
    assert dict(report.lacks) == {Lack.OVERLAPPING: 1}


def test_crowds_are_marked_where_a_format_can_and_else_left_out_and_said(tmp_path: Path) -> None:
    noted = brush(block(0, 0, 40, 20), id="a", meta={"text": ["Crowd "]})
    chosen = [
        brush(block(0, 30, 40, 50), "Van", id="b"),
        {"id": "b", "type": "choices", "from_name": "kind", "value": {"choices": ["crowd"]}},
    ]
    one = brush(block(60, 0, 70, 9), id="c")
    tasks = (task(annotation(noted, *chosen, one)),)
    for form, read in (
        (Format.COCO, lambda at: readers.coco(at / "annotations.json")["street.png"]),
        (Format.COCO_POLYGONS, lambda at: readers.coco(at / "annotations.json")["street.png"]),
        (Format.VOC, lambda at: readers.voc(at)["street.png"]),
        (Format.PNG, lambda at: readers.each_png(at)["street.png"]),
    ):
        out, _ = exported(tmp_path, form, *tasks)
        assert [seen.crowd for seen in read(out)] == [True, True, False]
    out, report = exported(tmp_path, Format.YOLO, *tasks)
    assert len(readers.yolo(out, SIZE)["street"]) == 1
    assert dict(report.lacks) == {Lack.CROWD: 2}


def test_a_picture_without_an_object_is_there_as_an_example_of_none(tmp_path: Path) -> None:
    tasks = (task(annotation(*two_objects())), task(annotation(), number=6))
    media = save(tmp_path / "media")
    out, _ = exported(tmp_path, Format.COCO, *tasks, media=media)
    assert {name: len(seen) for name, seen in readers.coco(out / "annotations.json").items()} == {
        "street.png": 2,
        "street-6.png": 0,
    }
    out, _ = exported(tmp_path, Format.YOLO, *tasks, media=media)
    assert (out / "labels" / "train" / "street-6.txt").read_text() == ""


def test_tasks_fall_to_the_same_side_of_the_split_however_many_there_are(tmp_path: Path) -> None:
    def sides(numbers: range, folder: str) -> dict[str, set[str]]:
        tasks = [
            task(annotation(*two_objects()), number=number, image=f"/a/{number}.png") for number in numbers
        ]
        out, _ = exported(tmp_path / folder, Format.YOLO, *tasks, val=0.2)
        return {side: set(readers.yolo(out, SIZE, side)) for side in ("train", "val")}

    few, many = sides(range(1, 11), "few"), sides(range(1, 41), "many")
    assert few["val"] < many["val"]
    assert few["train"] < many["train"]
    assert (len(few["val"]), len(many["val"])) == (2, 8)
    _, report = exported(tmp_path / "one", Format.YOLO, task(annotation(*two_objects()), number=3), val=0.2)
    assert dict(report.lacks) == {Lack.NO_SIDE: 1}


@pytest.mark.parametrize("form", sorted(OF_PICTURES - {Format.OVERLAY}))
def test_the_pictures_are_written_where_the_format_has_them(tmp_path: Path, form: Format) -> None:
    media = save(tmp_path / "media")
    out, _ = exported(tmp_path, form, task(annotation(*two_objects())), media=media, images=True)
    where = {Format.VOC: "JPEGImages"} | dict.fromkeys(
        (Format.YOLO, Format.YOLO_BOX, Format.YOLO_OBB), "images/train"
    )
    written = out / where.get(form, "images") / "street.png"
    assert written.read_bytes() == (media / "street.png").read_bytes()


def test_a_picture_that_is_turned_by_its_exif_is_written_upright(tmp_path: Path) -> None:
    sideways = Image.fromarray(np.rot90(picture()))
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "media").mkdir()
    sideways.save(tmp_path / "media" / "street.jpg", exif=exif, quality=100)
    one = task(annotation(*two_objects()), image="/data/upload/4/08e54ecd-street.jpg")
    out, report = exported(tmp_path, Format.COCO, one, media=tmp_path / "media", images=True)
    with Image.open(out / "images" / "street.png") as image:
        assert image.size == (SIZE.width, SIZE.height)
        assert np.abs(np.asarray(image).astype(int) - picture()).max() < 16
    assert dict(report.lacks) == {}


def test_an_overlay_tints_objects_and_nothing_else(tmp_path: Path) -> None:
    size = Size(240, 320)
    grey = np.full((*size, 3), 120, np.uint8)
    (tmp_path / "media").mkdir()
    Image.fromarray(grey).save(tmp_path / "media" / "street.png")
    one = task(annotation(brush(block(20, 40, 160, 200, size), id="a", score=0.5)))
    out, report = exported(tmp_path, Format.OVERLAY, one, media=tmp_path / "media")
    assert (report.pictures, report.masks) == (1, 1)
    changed = np.abs(np.asarray(Image.open(out / "street.jpg")).astype(int) - grey).max(axis=2) > 25
    assert changed[45:195, 25:155].all()
    assert changed[22:36, 24:80].mean() > 0.5  # its name and score
    assert not changed[206:].any()
    assert not changed[:, 166:].any()
