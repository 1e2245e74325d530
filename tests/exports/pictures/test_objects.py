"""Which objects an annotation holds: each once, none that only asked for a mask, all that can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.exports.files import parts
from label_studio_sam2.exports.format import Choice, Format
from label_studio_sam2.exports.pictures import convert
from label_studio_sam2.exports.pictures.convert import Wish
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.exports.submitted import Export
from label_studio_sam2.geometry import iou
from label_studio_sdk.converter import Converter

from tests.fakes import readers
from tests.fakes.annotated import (
    CONFIG,
    SIZE,
    Json,
    again,
    annotation,
    bitmask,
    block,
    brush,
    click,
    ellipse,
    polygon,
    rectangle,
    region,
    ring_and_dot,
    save,
    task,
    two_objects,
    write,
)
from tests.fakes.exporting import exported
from tests.fakes.readers import Seen

PLAIN = """<View><Image name="image" value="$image"/>
<RectangleLabels name="drawn" toName="image"><Label value="Car"/></RectangleLabels></View>"""


def objects(folder: Path, *regions: Json, **options: Any) -> tuple[list[Seen], dict[Lack, int]]:
    out, report = exported(folder, Format.COCO, task(annotation(*regions)), **options)
    if not report.pictures:
        return [], dict(report.lacks)
    return readers.coco(out / "annotations.json")["street.png"], dict(report.lacks)


def test_what_is_saved_twice_under_one_id_is_one_object_with_its_label(tmp_path: Path) -> None:
    found, lacks = objects(tmp_path, *two_objects())
    assert [one.label for one in found] == ["Car", "Van"]
    assert lacks == {}


def test_json_min_gives_the_same_objects_though_it_has_no_ids(tmp_path: Path) -> None:
    separate = CONFIG.replace(
        "</View>", '<Labels name="names" toName="image"><Label value="Car"/></Labels></View>'
    )
    drawn = bitmask(block(40, 40, 60, 55), None, id="s") | {"from_name": "bare", "type": "bitmask"}
    named = again(drawn, "names", "labels") | {"value": drawn["value"] | {"labels": ["Car"]}}
    separate = separate.replace("</View>", '<Bitmask name="bare" toName="image"/></View>')
    separate = separate.replace('name="brush"', 'name="result"')  # as our templates name it
    regions = [one | {"from_name": one["from_name"].replace("brush", "result")} for one in two_objects()]
    path = write(tmp_path / "export.json", task(annotation(*regions, drawn, named)))
    Converter(separate, str(tmp_path), download_resources=False).convert_to_json_min(
        str(path), str(tmp_path / "min"), is_dir=False
    )
    minimal = json.loads((tmp_path / "min" / "result.json").read_text())
    out, report = exported(tmp_path, Format.COCO, *minimal, config=separate)
    found = readers.coco(out / "annotations.json")["street.png"]
    assert sorted(one.label for one in found) == ["Car", "Car", "Van"]
    assert dict(report.lacks) == {}
    assert {iou(one.bitmap, ring_and_dot()) for one in found if one.bitmap is not None} >= {1.0}


@pytest.mark.parametrize("config", [CONFIG, None])
def test_an_object_that_several_tags_drew_is_written_in_its_finest_shape(
    tmp_path: Path, config: str | None
) -> None:
    car = brush(block(10, 10, 50, 40), id="b")
    outline = polygon([(10, 10), (50, 10), (50, 40), (10, 40)], id="p")
    box, van = rectangle((10, 10, 50, 40), id="r"), rectangle((10, 10, 50, 40), "Van", id="v")
    found, _ = objects(tmp_path, box, van, outline, car, config=config)
    assert [one.label for one in found] == ["Van", "Car"]
    assert found[1].bitmap is not None
    assert np.array_equal(found[1].bitmap, block(10, 10, 50, 40))


def test_two_objects_of_one_tag_are_two_however_alike(tmp_path: Path) -> None:
    found, _ = objects(tmp_path, brush(block(1, 1, 30, 30), id="a"), brush(block(1, 1, 30, 31), id="b"))
    assert len(found) == 2


def test_parts_that_a_polygon_tag_draws_of_one_brushed_object_are_that_object(tmp_path: Path) -> None:
    parts = [(5, 5, 20, 20), (40, 5, 70, 30)]
    whole = brush(np.logical_or(*(block(*part) for part in parts)), id="b")
    drawn = [polygon([(x, y), (r, y), (r, b), (x, b)], id=f"p{x}") for x, y, r, b in parts]
    found, _ = objects(tmp_path, whole, *drawn)
    assert len(found) == 1


def test_a_region_put_below_another_of_its_label_is_a_part_of_it(tmp_path: Path) -> None:
    first = polygon([(1, 1), (20, 1), (20, 20)], id="a")
    second = polygon([(40, 1), (60, 1), (60, 20)], id="b", parentID="a")
    wheel = polygon([(5, 2), (9, 2), (9, 5)], "Van", id="c", parentID="a")
    found, _ = objects(tmp_path, second, first, wheel)
    assert [one.label for one in found] == ["Car", "Van"]
    assert found[0].bitmap is not None
    assert found[0].bitmap[:, 40:].any()
    assert found[0].bitmap[:, :30].any()


def test_regions_put_below_each_other_in_a_circle_are_there(tmp_path: Path) -> None:
    circle = [
        polygon([(x, 1), (x + 9, 1), (x + 9, 20)], id=f"{x}", parentID=f"{(x + 20) % 40}") for x in (0, 20)
    ]
    assert len(objects(tmp_path, *circle)[0]) == 1


def test_boxes_and_clicks_that_only_prompt_are_left_out_and_said_where_their_mask_is_missing(
    tmp_path: Path,
) -> None:
    lost = rectangle((50, 30, 70, 50), id="lost", control="box")
    answered = rectangle((3, 49, 31, 59), "Van", id="q", control="box")
    not_this = click(70, 5, positive=False, id="n")
    found, lacks = objects(tmp_path, *two_objects(), lost, answered, not_this, click(75, 55, id="k"))
    assert len(found) == 2
    assert lacks == {Lack.UNANSWERED: 2}


def test_boxes_of_a_tag_that_says_nothing_of_prompting_are_objects_unless_a_mask_came_of_them(
    tmp_path: Path,
) -> None:
    config = CONFIG.replace('name="box" toName="image" smart="true"', 'name="box" toName="image"')
    mask = brush(block(10, 10, 30, 30), id="m")
    around, other = (
        rectangle((8, 8, 33, 31), id="a", control="box"),
        rectangle((50, 8, 70, 30), id="o", control="box"),
    )
    for given in (config, None):
        found, lacks = objects(tmp_path, mask, around, other, config=given)
        assert len(found) == 2
        assert lacks == {}


def test_a_project_of_boxes_alone_exports_its_boxes(tmp_path: Path) -> None:
    found, _ = objects(tmp_path, rectangle((8, 8, 33, 31), id="a"), config=PLAIN)
    assert len(found) == 1


def test_what_can_not_be_read_does_not_take_the_others_along(tmp_path: Path) -> None:
    bad = [
        brush(block(0, 0, 9, 9), id="cut") | {"value": {"rle": brush(block(0, 0, 4, 4))["value"]["rle"][:9]}},
        polygon([(1, 1), (2, 2)], id="two corners"),
        ellipse(10, 10, (0, 0), id="no radius"),
        rectangle((90, 70, 99, 80), id="outside"),
        {"id": "no value"},
    ]
    found, lacks = objects(tmp_path, *bad, *two_objects())
    assert len(found) == 2
    assert lacks == {Lack.UNREADABLE: 2, Lack.EMPTY: 2}


def test_regions_without_a_label_or_with_several_are_said(tmp_path: Path) -> None:
    bare, several = brush(block(0, 0, 9, 9), None, id="a"), brush(block(20, 0, 29, 9), id="b")
    several["value"]["brushlabels"] = ["Van", "Car"]
    found, lacks = objects(tmp_path, bare, several)
    assert [one.label for one in found] == ["object", "Van"]
    assert lacks == {Lack.NO_LABEL: 1, Lack.SEVERAL_LABELS: 1}


@pytest.mark.parametrize(
    ("choice", "written"),
    [(Choice.LAST, [3]), (Choice.FIRST, [1]), (Choice.ALL, [1, 2, 3]), (Choice.GROUND_TRUTH, [2])],
)
def test_of_several_annotations_those_that_are_asked_for_are_written(
    tmp_path: Path, choice: Choice, written: list[int]
) -> None:
    drawn = brush(block(0, 0, 9, 9), id="a")
    annotations = [
        annotation(drawn, number=1),
        annotation(drawn, number=2, ground_truth=True),
        annotation(drawn, number=3),
        annotation(drawn, number=4, was_cancelled=True),
    ]
    out, _ = exported(tmp_path, Format.COCO, task(*annotations), choice=choice)
    images = json.loads((out / "annotations.json").read_text())["images"]
    assert sorted(image["annotation_id"] for image in images) == written
    assert len({image["file_name"] for image in images}) == len(written)


def test_what_a_target_storage_wrote_is_read_an_annotation_a_file(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    for number, label in ((1, "Car"), (2, "Van")):
        one = annotation(brush(block(0, 0, 9, 9), label, id="a"), number=number)
        (storage / f"{number}").write_text(json.dumps(one | {"task": task()}))
    for choice, written in ((Choice.LAST, ["Van"]), (Choice.ALL, ["Car", "Van"])):
        report = Report()
        export = Export.of(parts(storage, report), report, choice)
        out = tmp_path / choice.value
        convert.write(export, out, Wish(Format.COCO, CONFIG), Sources(), report=report)
        found = readers.coco(out / "annotations.json")
        assert [one.label for seen in found.values() for one in seen] == written


def test_each_picture_of_a_list_has_its_own_regions_and_name(tmp_path: Path) -> None:
    config = CONFIG.replace('value="$image"', 'valueList="$image"')
    pages = ["/a/one.png", "/a/two.png", "/a/three.png"]
    first, second = brush(block(0, 0, 9, 9), id="a"), brush(block(0, 0, 9, 9), "Van", id="b", item_index=1)
    lost = brush(block(0, 0, 9, 9), id="c", item_index=7)
    one = task(annotation(first, second, lost), image=pages)
    for given, beyond in ((config, {Lack.NO_PLACE: 1, Lack.NO_SIZE: 1}), (None, {})):
        out, report = exported(tmp_path / str(given is None), Format.COCO, one, config=given)
        read = readers.coco(out / "annotations.json")
        assert {
            name: [seen.label for seen in found] for name, found in read.items() if name != "task-5.jpg"
        } == {
            "one.png": ["Car"],
            "two.png": ["Van"],
        }
        assert dict(report.lacks) == beyond


def test_what_json_min_does_not_put_on_a_picture_of_its_list_is_said(tmp_path: Path) -> None:
    config = CONFIG.replace('value="$image"', 'valueList="$image"')
    value = brush(block(0, 0, 9, 9))["value"] | {"original_width": SIZE.width, "original_height": SIZE.height}
    for pages, lacks in (
        (["/a/one.png"], {}),
        (["/a/one.png", "/a/two.png"], {Lack.UNPLACED: 1, Lack.NO_SIZE: 2}),
    ):
        row = {"id": 5, "annotation_id": 2, "image": pages, "brush": [value]}
        _, report = exported(tmp_path, Format.COCO, row, config=config)
        assert (report.masks, dict(report.lacks)) == (len(pages) % 2, lacks)


def test_pages_of_a_repeater_are_pictures_of_their_own(tmp_path: Path) -> None:
    config = """<View><Repeater on="$image"><Image name="page_{{idx}}" value="$image[{{idx}}].url"/>
    <BrushLabels name="brush_{{idx}}" toName="page_{{idx}}"><Label value="Car"/></BrushLabels></Repeater></View>"""
    drawn = [brush(block(0, 0, 9, 9), id=f"{n}", to_name=f"page_{n}", from_name=f"brush_{n}") for n in (0, 1)]
    one = task(annotation(*drawn), image=[{"url": "/a/one.png"}, {"url": "/a/two.png"}])
    out, _ = exported(tmp_path, Format.COCO, one, config=config)
    assert {name: len(found) for name, found in readers.coco(out / "annotations.json").items()} == {
        "one.png": 1,
        "two.png": 1,
    }


def test_categories_have_the_label_configs_order_and_numbers_and_others_come_after(tmp_path: Path) -> None:
    config = CONFIG.replace('<Label value="Car"/>', '<Label value="Car" category="7"/>')
    other = region("brush", "brushlabels", brush(block(0, 0, 9, 9))["value"], "Bus", id="o")
    for given, rows in (
        (CONFIG, [(1, "Van"), (2, "Car"), (3, "Bus")]),
        (config, [(1, "Van"), (7, "Car"), (2, "Bus")]),
        (None, [(1, "Bus"), (2, "Car"), (3, "Van")]),
    ):
        one = task(annotation(other, *two_objects()))
        out, _ = exported(tmp_path, Format.COCO, one, config=given)
        categories = json.loads((out / "annotations.json").read_text())["categories"]
        assert [(row["id"], row["name"]) for row in categories] == rows
        out, _ = exported(tmp_path, Format.YOLO, one, config=given)
        assert {seen.label for seen in readers.yolo(out, SIZE)["street"]} == {"Bus", "Car", "Van"}


def test_a_picture_of_another_size_than_it_was_labelled_at_is_said(tmp_path: Path) -> None:
    media = save(tmp_path / "media", size=SIZE._replace(width=90))
    found, lacks = objects(tmp_path, *two_objects(), media=media, images=True)
    assert len(found) == 2
    assert lacks == {Lack.OTHER_PICTURE: 1}
    assert not (tmp_path / "coco" / "images").exists()


def test_pictures_that_are_not_at_hand_and_regions_of_videos_are_said(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    video = {"id": "v", "type": "videorectangle", "to_name": "video", "value": {"sequence": []}}
    found, lacks = objects(tmp_path, *two_objects(), video, media=tmp_path / "media", images=True)
    assert len(found) == 2
    assert lacks == {Lack.NO_PICTURE: 1, Lack.OF_A_VIDEO: 1}
