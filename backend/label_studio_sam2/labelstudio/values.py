"""The `value` of a region: which shape it holds, and the mask that it draws.

Shapes are told by the value's keys: an accepted region comes back a second time under its prompt's type.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import Ellipse, Points, ellipse_to_mask, percent_to_pixels, rotated_corners
from label_studio_sam2.labelstudio import brush_rle
from label_studio_sam2.labelstudio.controls import Shape
from label_studio_sam2.outlines import polygons_to_mask
from label_studio_sam2.types import Bitmap, Box, Size

Value = Mapping[str, Any]

SHAPES: Mapping[str, Shape] = {
    "rle": "brush",
    "maskDataURL": "bitmask",
    "imageDataURL": "bitmask",
    "sequence": "videorectangle",
    "points": "polygon",
    "vertices": "vector",
    "radiusX": "ellipse",
    "height": "rectangle",
    "x": "keypoint",
}
"""The key that tells a shape; the first that a value has counts."""


def shape_of(value: Value) -> Shape | None:
    """The shape that a value holds; None for a text, a choice, and whatever else draws nothing."""
    return next((shape for key, shape in SHAPES.items() if key in value), None)


def mask_from_value(value: Value, size: Size) -> Bitmap | None:
    """The mask that a value draws on a picture of this size; None for a keypoint, a video, or no shape at all.

    Raises PromptError where it is damaged.
    """
    shape = shape_of(value)
    return MASKS[shape](value, size) if shape in MASKS else None


def number(value: Value, key: str) -> float:
    """A coordinate. Raises PromptError unless it is a finite number."""
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        raise PromptError(f'"{key}" must be a finite number, not {found!r:.40}.')
    return float(found)


def _brush(value: Value, size: Size) -> Bitmap:
    return brush_rle.decode(value["rle"], size)


def _bitmask(value: Value, size: Size) -> Bitmap:
    """Alpha is the mask; in a PNG without alpha, what isn't black."""
    address = str(value.get("imageDataURL") or value.get("maskDataURL"))
    try:
        png = base64.b64decode(address.partition("base64,")[2], validate=True)
    except binascii.Error:
        png = b""
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if png else None
    if image is None:
        raise PromptError("The bitmask's data URL holds no PNG. Send it as data:image/png;base64,...")
    if image.shape[:2] != size:
        height, width = image.shape[:2]
        raise PromptError(
            f"The bitmask has {width} x {height} pixels, but the picture {size.width} x {size.height}."
        )
    channel = image if image.ndim == 2 else image[..., 3] if image.shape[2] == 4 else image.max(axis=2)
    filled: Bitmap = channel > 0
    return filled


def _polygon(value: Value, size: Size) -> Bitmap:
    points = value["points"]
    if not isinstance(points, list) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in points):
        raise PromptError("A polygon's points must be a list of [x, y].")
    return _enclosed([{"x": x, "y": y} for x, y in points], size)


def _vector(value: Value, size: Size) -> Bitmap:
    vertices = value["vertices"]
    if not isinstance(vertices, list) or not all(isinstance(vertex, dict) for vertex in vertices):
        raise PromptError('A vector\'s vertices must be a list of {"x": ..., "y": ...}.')
    return _enclosed(vertices, size)


def _enclosed(points: list[Value], size: Size) -> Bitmap:
    if len(points) < 3:
        raise PromptError(f"An outline needs at least 3 points, not {len(points)}.")
    ring = [(number(point, "x"), number(point, "y")) for point in points]
    return polygons_to_mask([percent_to_pixels(ring, size)], size)


def _ellipse(value: Value, size: Size) -> Bitmap:
    x, y = percent_to_pixels((number(value, "x"), number(value, "y")), size).tolist()
    radius_x, radius_y = percent_to_pixels(
        (number(value, "radiusX"), number(value, "radiusY")), size
    ).tolist()
    return ellipse_to_mask(Ellipse(x, y, radius_x, radius_y, rotation(value)), size)


def _rectangle(value: Value, size: Size) -> Bitmap:
    return polygons_to_mask([rectangle_corners(value, size)], size)


def rectangle_corners(value: Value, size: Size) -> Points:
    """The four corners of a box in pixels, (4, 2), as it stands on the screen."""
    x, y = percent_to_pixels((number(value, "x"), number(value, "y")), size)
    width, height = percent_to_pixels((number(value, "width"), number(value, "height")), size)
    return rotated_corners(Box(x, y, x + width, y + height), rotation(value))


def rotation(value: Value) -> float:
    return number(value, "rotation") if value.get("rotation") is not None else 0.0


MASKS: Mapping[Shape | None, Callable[[Value, Size], Bitmap]] = {
    "brush": _brush,
    "bitmask": _bitmask,
    "polygon": _polygon,
    "vector": _vector,
    "ellipse": _ellipse,
    "rectangle": _rectangle,
}
