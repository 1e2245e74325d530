"""Annotations of pictures as Label Studio exports them: a region of each shape, and tasks that hold them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from label_studio_sam2.geometry import pixels_to_percent
from label_studio_sam2.labelstudio.codecs import bitmask_png, brush_rle
from label_studio_sam2.types import Bitmap, Pixels, Size
from numpy.typing import ArrayLike

Json = dict[str, Any]

SIZE = Size(60, 80)

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <KeyPointLabels name="click" toName="image" smart="true"><Label value="Van"/><Label value="Car"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Van"/><Label value="Car"/></RectangleLabels>
  <BrushLabels name="brush" toName="image" smart="false"><Label value="Van"/><Label value="Car"/></BrushLabels>
  <PolygonLabels name="polygon" toName="image" smart="false"><Label value="Van"/><Label value="Car"/></PolygonLabels>
  <RectangleLabels name="drawn" toName="image" smart="false"><Label value="Van"/><Label value="Car"/></RectangleLabels>
</View>"""
"""Its labels stand in another order than the alphabet's and than that in which `two_objects` has them."""


def region(
    control: str, kind: str, value: Json, label: str | None = "Car", size: Size = SIZE, **more: Any
) -> Json:
    labels = {} if label is None else {kind: [label]}
    return {
        "id": f"{control}-{label}",
        "from_name": control,
        "to_name": "image",
        "type": kind,
        "original_width": size.width,
        "original_height": size.height,
        "image_rotation": 0,
        "value": value | labels,
        "origin": "manual",
    } | more


def brush(bitmap: Bitmap, label: str | None = "Car", **more: Any) -> Json:
    value = {"format": "rle", "rle": brush_rle.encode(bitmap)}
    return region("brush", "brushlabels", value, label, Size(*bitmap.shape), **more)


def bitmask(bitmap: Bitmap, label: str | None = "Car", **more: Any) -> Json:
    png = base64.b64encode(bitmask_png.encode(bitmap)).decode()
    value = {"imageDataURL": f"data:image/png;base64,{png}"}
    return region("bitmask", "bitmasklabels", value, label, Size(*bitmap.shape), **more)


def polygon(points: ArrayLike, label: str | None = "Car", size: Size = SIZE, **more: Any) -> Json:
    """Of corners in pixels."""
    value = {"points": pixels_to_percent(points, size).tolist(), "closed": True}
    return region("polygon", "polygonlabels", value, label, size, **more)


def vector(points: ArrayLike, label: str | None = "Car", **more: Any) -> Json:
    """Of corners in pixels."""
    vertices = [{"x": x, "y": y} for x, y in pixels_to_percent(points, SIZE).tolist()]
    return region("vector", "vectorlabels", {"vertices": vertices, "closed": False}, label, **more)


def rectangle(
    box: tuple[float, float, float, float],
    label: str | None = "Car",
    *,
    rotation: float = 0,
    size: Size = SIZE,
    control: str = "drawn",
    **more: Any,
) -> Json:
    """Of left, top, right and bottom in pixels, turned about its first corner."""
    (x, y), (right, bottom) = pixels_to_percent(np.reshape(box, (2, 2)), size).tolist()
    value = {"x": x, "y": y, "width": right - x, "height": bottom - y, "rotation": rotation}
    return region(control, "rectanglelabels", value, label, size, **more)


def ellipse(x: float, y: float, radii: tuple[float, float], label: str = "Car", **more: Any) -> Json:
    (x, y), (radius_x, radius_y) = pixels_to_percent([(x, y), radii], SIZE).tolist()
    value = {"x": x, "y": y, "radiusX": radius_x, "radiusY": radius_y, "rotation": 0}
    return region("ellipse", "ellipselabels", value, label, **more)


def click(x: float, y: float, label: str = "Car", *, positive: bool = True, **more: Any) -> Json:
    x, y = pixels_to_percent((x, y), SIZE).tolist()
    value = {"x": x, "y": y, "width": 0.3}
    return region("click", "keypointlabels", value, label, is_positive=positive, **more)


def again(saved: Json, control: str = "click", kind: str = "keypointlabels") -> Json:
    """An accepted region as it is saved a second time where its label stayed selected: under its prompt's type."""
    value = {key: item for key, item in saved["value"].items() if not key.endswith("labels")}
    labels = saved["value"].get(saved["type"], [])
    return saved | {"from_name": control, "type": kind, "value": value | {kind: labels}}


def annotation(*regions: Json, number: int = 2, **more: Any) -> Json:
    when = {"created_at": f"2026-11-23T18:36:3{number}Z", "updated_at": f"2026-11-23T18:36:3{number}Z"}
    return {"id": number, "completed_by": 1, "result": list(regions), "was_cancelled": False, **when, **more}


def task(*annotations: Json, number: int = 5, image: Any = "/data/upload/4/08e54ecd-street.png") -> Json:
    return {"id": number, "annotations": list(annotations), "data": {"note": "a/b", "image": image}}


def write(path: Path, *tasks: Json) -> Path:
    path.write_text(json.dumps(list(tasks)))
    return path


def ring_and_dot() -> Bitmap:
    """A ring, and a dot apart from it: a mask with a hole and two parts."""
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    distance = np.hypot(rows - 30, columns - 25)
    found: Bitmap = ((distance < 18) & (distance > 7)) | (np.hypot(rows - 20, columns - 65) < 6)
    return found


def block(left: int, top: int, right: int, bottom: int, size: Size = SIZE) -> Bitmap:
    bitmap = np.zeros(size, np.bool_)
    bitmap[top:bottom, left:right] = True
    return bitmap


def two_objects() -> Sequence[Json]:
    """A car with a hole and two parts, and a van, as they are saved with the label kept selected."""
    car, van = brush(ring_and_dot(), id="car", score=0.91), brush(block(4, 50, 30, 58), "Van", id="van")
    return [car, again(car), van, again(van, "box", "rectanglelabels"), click(25, 15, id="prompt")]


def picture(size: Size = SIZE) -> Pixels:
    rows, columns = np.mgrid[: size.height, : size.width]
    return np.stack([rows * 2, columns * 2, rows + columns], axis=-1).astype(np.uint8)


def save(folder: Path, name: str = "street.png", size: Size = SIZE) -> Path:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), cv2.cvtColor(picture(size), cv2.COLOR_RGB2BGR))
    return folder
