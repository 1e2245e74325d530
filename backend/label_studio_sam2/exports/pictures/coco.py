"""COCO instances: a file a side, with compressed run lengths, every pixel, or with polygons, as some trainers want.

annotations.json                 or, split, train.json and val.json
images/                          the pictures, where they were asked for

`task_id` and `annotation_id` of a picture, `region_id` and `score` of an annotation are keys besides COCO's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson

from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.picture import LabelledPicture, Target
from label_studio_sam2.exports.report import Report

DECIMALS = 2
"""Of a polygon's pixels."""


def write(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    _write(pictures, target, report, lambda instance: instance.mask.coco())


def write_polygons(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """Holes are bridged; crowds are run lengths here too, as COCO has them."""
    _write(pictures, target, report, _polygons)


def _write(
    pictures: Iterable[LabelledPicture],
    target: Target,
    report: Report,
    segmentation: Callable[[Instance], Any],
) -> None:
    images: dict[str, list[dict[str, Any]]] = {side: [] for side in target.sides}
    annotations: dict[str, list[dict[str, Any]]] = {side: [] for side in target.sides}
    for number, picture in enumerate(pictures, start=1):
        images[picture.side].append(_image(picture, number))
        for instance in picture.instances:
            report.masks += 1
            found = {"id": report.masks, "image_id": number, "segmentation": segmentation(instance)}
            annotations[picture.side].append(found | _annotation(instance))
        report.pictures += 1
    for side in target.sides if report.pictures else ():
        whole = {"info": {}, "licenses": [], "images": images[side], "annotations": annotations[side]}
        name = side if len(target.sides) > 1 else "annotations"
        written = orjson.dumps(whole | {"categories": target.categories.rows()})
        (target.out / f"{name}.json").write_bytes(written)


def _image(picture: LabelledPicture, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": picture.name,
        "width": picture.size.width,
        "height": picture.size.height,
        "task_id": picture.task,
        "annotation_id": picture.annotation,
    }


def _annotation(instance: Instance) -> dict[str, Any]:
    rated = {} if instance.score is None else {"score": instance.score}
    return {
        "category_id": instance.category.number,
        "area": instance.mask.area,
        "bbox": instance.mask.coco_box(),
        "iscrowd": int(instance.crowd),
        "region_id": instance.region,
        **rated,
    }


def _polygons(instance: Instance) -> Any:
    if instance.crowd:
        return instance.mask.coco()
    return [ring.round(DECIMALS).reshape(-1).tolist() for ring in instance.outlines()]
