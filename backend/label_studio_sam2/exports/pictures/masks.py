"""Masks as PNG files: one an object, every pixel of it, or one a picture with the category of each pixel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from PIL import Image

from label_studio_sam2.exports.colours import palette
from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.picture import LabelledPicture, Target
from label_studio_sam2.exports.report import Lack, Report

MOST_CATEGORIES = 255
NOT_IN_NAMES = re.compile(r"[^\w-]+")


def write_each(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """masks/NAME/1-LABEL.png, white where the object is, black elsewhere; objects.json lists them all."""
    rows: dict[str, Any] = {}
    for picture in pictures:
        folder = target.out / "masks" / picture.stem
        folder.mkdir(parents=True)
        rows[picture.name] = _about(picture) | {"objects": list(_each(picture, folder))}
        report.drew(len(picture.instances))
    (target.out / "objects.json").write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def _each(picture: LabelledPicture, folder: Path) -> Iterator[dict[str, Any]]:
    for number, instance in enumerate(picture.instances, start=1):
        name = f"{number}-{NOT_IN_NAMES.sub('_', instance.label)[:60]}.png"
        Image.fromarray(instance.mask.bitmap()).save(folder / name)
        yield {
            "mask": f"masks/{picture.stem}/{name}",
            "label": instance.label,
            "region": instance.region,
            "crowd": instance.crowd,
            "score": instance.score,
            "box": instance.mask.coco_box(),
        }


def write_semantic(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """masks/NAME.png with the number of each pixel's category, which labels.json names, 0 for none."""
    (target.out / "masks").mkdir()
    rows: dict[str, Any] = {}
    for picture in pictures:
        kept = [one for one in picture.instances if one.category.place < MOST_CATEGORIES]
        report.lack(Lack.TOO_MANY, picture.name, len(picture.instances) - len(kept))
        numbered = [(one.category.place + 1, one) for one in kept]
        number_picture(picture, numbered, target.out / "masks" / f"{picture.stem}.png", report)
        rows[picture.name] = _about(picture)
        report.drew(len(kept))
    names = {str(number): name for number, name in enumerate(target.categories.names(), start=1)}
    whole = {"labels": {"0": "none"} | names, "pictures": rows}
    (target.out / "labels.json").write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2))


def number_picture(
    picture: LabelledPicture, numbered: Iterable[tuple[int, Instance]], path: Path, report: Report
) -> None:
    """Writes a PNG with a palette; where objects of several numbers overlap, the smaller has the pixel."""
    numbers = np.zeros(picture.size, np.uint8)
    overlap = False
    for number, instance in sorted(numbered, key=lambda one: -one[1].mask.area):
        inside = instance.mask.bitmap()
        below = numbers[inside]
        overlap |= bool(((below != 0) & (below != number)).any())
        numbers[inside] = number
    report.lack(Lack.OVERLAPPING, picture.name, times=overlap)
    image = Image.fromarray(numbers)
    image.putpalette(palette())
    image.save(path)


def _about(picture: LabelledPicture) -> dict[str, Any]:
    return {
        "task": picture.task,
        "annotation": picture.annotation,
        "address": picture.address[:200],
        "split": picture.side,
        "width": picture.size.width,
        "height": picture.size.height,
    }
