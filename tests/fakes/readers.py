"""Data sets read back: COCO by its own tools, YOLO and Pascal VOC by the rules of those who train on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings
from xml.etree import ElementTree

import cv2
import numpy as np
import yaml
from label_studio_sam2.types import Bitmap, Box, Size
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

FINE = 8
"""An outline is filled on a grid so much finer, and looked at in the pixels' centres."""


class Seen(NamedTuple):
    """An object as its reader has it, by whatever the format tells of it."""

    label: str
    bitmap: Bitmap | None = None
    box: Box | None = None
    corners: NDArray[np.float64] | None = None
    crowd: bool = False


Pictures = Mapping[str, list[Seen]]


def coco(path: Path) -> Pictures:
    with redirect_stdout(StringIO()):
        read = COCO(str(path))
    with catch_warnings(action="ignore", category=DeprecationWarning):  # of numpy 2, by pycocotools' own code
        return _coco(read)


def _coco(read: Any) -> Pictures:
    found = {}
    for image in read.loadImgs(read.getImgIds()):
        annotations = read.loadAnns(read.getAnnIds(imgIds=[image["id"]]))
        found[image["file_name"]] = [
            Seen(
                read.loadCats([one["category_id"]])[0]["name"],
                read.annToMask(one).astype(np.bool_),
                Box(*one["bbox"][:2], one["bbox"][0] + one["bbox"][2], one["bbox"][1] + one["bbox"][3]),
                crowd=bool(one["iscrowd"]),
            )
            for one in annotations
        ]
    return found


def yolo(out: Path, size: Size, side: str = "train") -> Pictures:
    """As ultralytics' loader takes a line (data/utils.py, verify_image_label): what it calls corrupt fails here."""
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert list(data["names"]) == list(range(len(data["names"])))
    labels = out / data[side].replace("images", "labels")
    return {path.stem: yolo_lines(path, data["names"], size) for path in sorted(labels.glob("*.txt"))}


def yolo_lines(path: Path, names: Mapping[int, str], size: Size) -> list[Seen]:
    """Boxes, or outlines."""
    lines = [line.split() for line in path.read_text().splitlines()]
    found = []
    for line in lines:
        numbers = np.array(line[1:], np.float64)
        assert numbers.min() >= 0
        assert numbers.max() <= 1
        label, points = names[int(line[0])], numbers.reshape(-1, 2) * size[::-1]
        if len(numbers) == 4:
            (x, y), (width, height) = points.tolist()
            found.append(Seen(label, box=Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)))
        else:
            assert len(points) >= 3
            found.append(Seen(label, filled(points, size), corners=points))
    return found


def filled(points: NDArray[np.float64], size: Size) -> Bitmap:
    """Odd parity, as cv2.fillPoly has it, which trainers fill outlines with."""
    fine = np.zeros((size.height * FINE, size.width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round(points * FINE).astype(np.int32)], 1)
    found: Bitmap = fine[FINE // 2 :: FINE, FINE // 2 :: FINE] > 0
    return found


def voc(out: Path) -> Pictures:
    """Boxes count pixels from 1 with both corners inside (VOCdevkit_doc, 4.1)."""
    found = {}
    for path in sorted((out / "Annotations").glob("*.xml")):
        numbers = np.asarray(Image.open(out / "SegmentationObject" / f"{path.stem}.png"))
        root = ElementTree.parse(path).getroot()
        assert numbers.shape == (int(_text(root, "size/height")), int(_text(root, "size/width")))
        found[_text(root, "filename")] = [
            Seen(_text(one, "name"), numbers == number, _voc_box(one), crowd=_text(one, "difficult") == "1")
            for number, one in enumerate(root.iter("object"), start=1)
        ]
    listed = {name for path in (out / "ImageSets" / "Main").iterdir() for name in path.read_text().split()}
    assert listed == {Path(name).stem for name in found}
    return found


def _voc_box(element: ElementTree.Element) -> Box:
    left, top, right, bottom = (
        int(_text(element, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
    )
    return Box(left - 1, top - 1, right, bottom)


def _text(element: ElementTree.Element, path: str) -> str:
    return element.findtext(path) or ""


def each_png(out: Path) -> Pictures:
    rows: dict[str, Any] = json.loads((out / "objects.json").read_text())
    return {
        name: [
            Seen(one["label"], np.asarray(Image.open(out / one["mask"]).convert("L")) > 0, crowd=one["crowd"])
            for one in row["objects"]
        ]
        for name, row in rows.items()
    }


def semantic(out: Path) -> Mapping[str, Mapping[str, Bitmap]]:
    """The pixels of each category that a picture has."""
    whole = json.loads((out / "labels.json").read_text())
    names: dict[str, str] = whole["labels"]
    found = {}
    for name in whole["pictures"]:
        numbers = np.asarray(Image.open(out / "masks" / f"{Path(name).stem}.png"))
        found[name] = {names[str(number)]: numbers == number for number in np.unique(numbers) if number}
    return found
