"""What Label Studio's own exports hold, read as those who train on them read them."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import cv2
import httpx
import numpy as np
from label_studio_sam2.types import Size
from numpy.typing import NDArray
from PIL import Image

from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.e2e.pictures import Bitmap
from tests.fakes import readers

Objects = Mapping[str, list[Bitmap]]
"""Of each label, filled; of outlines with every hole."""


class Failed(Exception):
    """Label Studio answered with an error."""


def offered(label_studio: LabelStudio, project: int) -> set[str]:
    rows = label_studio.call("GET", f"/api/projects/{project}/export/formats")
    return {row["name"] for row in rows if not row.get("disabled")}


def read(label_studio: LabelStudio, project: int, kind: str, size: Size, folder: Path) -> Objects:
    """What one export holds of a project with one picture. Raises Failed."""
    answer = httpx.get(
        f"{label_studio.url}/api/projects/{project}/export",
        params={"exportType": kind, "download_resources": "false"},
        headers={"Authorization": f"Token {LEGACY_TOKEN}"},
        timeout=120,
        trust_env=False,
    )
    if answer.status_code != httpx.codes.OK:
        raise Failed(answer.text[:200])
    folder.mkdir(parents=True)
    with ZipFile(io.BytesIO(answer.content)) as files:
        files.extractall(folder)
    found: dict[str, list[Bitmap]] = defaultdict(list)
    for label, bitmap in READERS[kind](folder, size):
        found[label].append(bitmap)
    return found


Read = list[tuple[str, Bitmap]]


def _coco(folder: Path, size: Size) -> Read:
    """By pycocotools' rules; a box where an object has no outline."""
    (path,) = folder.glob("result*.json")
    whole = json.loads(path.read_text())
    names = {row["id"]: row["name"] for row in whole["categories"]}
    return [(names[row["category_id"]], _instance(row, size)) for row in whole["annotations"]]


def _instance(row: Mapping[str, Any], size: Size) -> Bitmap:
    if not row["segmentation"]:
        left, top, width, height = row["bbox"]
        return _box(left, top, left + width, top + height, size)
    rings = [np.array(ring).reshape(-1, 2) for ring in row["segmentation"]]
    return np.logical_or.reduce([readers.filled(ring, size) for ring in rings])


def _yolo(folder: Path, size: Size) -> Read:
    return [
        (
            one.label,
            _box(one.box.x0, one.box.y0, one.box.x1, one.box.y1, size) if one.box else one.bitmap,
        )
        for one in _lines(folder, size)
        if one.box is not None or one.bitmap is not None
    ]  # type: ignore[misc]


def _turned(folder: Path, size: Size) -> Read:
    """As ultralytics reads lines where it trains on turned boxes: the smallest one around the points."""
    found = []
    for one in _lines(folder, size):
        assert one.corners is not None
        corners = cv2.boxPoints(cv2.minAreaRect(one.corners.astype(np.float32)))
        found.append((one.label, readers.filled(corners.astype(np.float64), size)))
    return found


def _lines(folder: Path, size: Size) -> list[readers.Seen]:
    names = dict(enumerate((folder / "classes.txt").read_text().split()))
    return [
        one for path in (folder / "labels").glob("*.txt") for one in readers.yolo_lines(path, names, size)
    ]


def _voc(folder: Path, size: Size) -> Read:
    (path,) = (folder / "Annotations").glob("*.xml")
    found = []
    for one in ElementTree.parse(path).getroot().iter("object"):
        edges = [float(one.findtext(f"bndbox/{name}") or "nan") for name in ("xmin", "ymin", "xmax", "ymax")]
        found.append((one.findtext("name") or "", _box(*edges, size)))
    return found


def _pngs(folder: Path, _size: Size) -> Read:
    return [(_label(path), np.asarray(Image.open(path)) > 0) for path in folder.rglob("*.png")]


def _arrays(folder: Path, _size: Size) -> Read:
    return [(_label(path), np.load(path) > 0) for path in folder.rglob("*.npy")]


def _label(path: Path) -> str:
    """task-…-by-…-TAG-LABEL-NUMBER."""
    return path.stem.split("-")[-2]


def _box(left: float, top: float, right: float, bottom: float, size: Size) -> Bitmap:
    corners: NDArray[np.float64] = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    return readers.filled(corners, size)


READERS: Mapping[str, Callable[[Path, Size], Read]] = {
    "COCO": _coco,
    "YOLO": _yolo,
    "YOLO_OBB": _turned,
    "VOC": _voc,
    "BRUSH_TO_PNG": _pngs,
    "BRUSH_TO_NUMPY": _arrays,
    "BRUSH_TO_COCO": _coco,
}
