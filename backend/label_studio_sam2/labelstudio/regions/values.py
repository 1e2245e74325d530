"""The `value` of a region: which shape it holds, and the mask that it draws.

Shapes are told by the value's keys: an accepted region comes back a second time under its prompt's type.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import Ellipse, Points, ellipse_to_mask, percent_to_pixels, rotated_corners
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.labelstudio.config.controls import Shape
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

FARTHEST = 1e9
"""A number beyond it is damaged, and what is computed from it is soon no number at all."""

SMALLEST_RADIUS = 1e-6
"""Percent: an ellipse below it holds no pixel's centre."""

MOST_CROSSINGS = 5_000_000
"""Of an outline with rows of pixels: half a gigabyte while it is filled, and more than any object's edge has."""

PNG_HEADER = struct.Struct(">8s8xII")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
    """A coordinate. Raises PromptError unless it is a finite number of a size that a picture can have."""
    found = value.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not -FARTHEST <= found <= FARTHEST:
        raise PromptError(f'"{key}" must be a finite number, not {in_words(found)}.')
    return float(found)


def in_words(value: object) -> str:
    """What somebody sent, for an error: short, however long or deep it is."""
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, float):
        return f"{value:g}"
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < FARTHEST):
        return repr(value)
    return f"something of type {type(value).__name__}"


def _brush(value: Value, size: Size) -> Bitmap:
    return brush_rle.decode(value["rle"], size)


def _bitmask(value: Value, size: Size) -> Bitmap:
    """Alpha is the mask; in a PNG without alpha, what isn't black."""
    given = (value.get(key) for key in ("imageDataURL", "maskDataURL"))
    address = next((text for text in given if isinstance(text, str) and text), "")
    try:
        png = base64.b64decode(address.partition("base64,")[2], validate=True)
    except ValueError:
        png = b""
    declared = _png_size(png)
    if declared is not None and declared != size:
        raise PromptError(
            f"The bitmask has {declared.width} x {declared.height} pixels, but the picture "
            f"{size.width} x {size.height}."
        )
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) if declared else None
    if image is None or image.shape[:2] != size:
        raise PromptError("The bitmask's data URL holds no PNG. Send it as data:image/png;base64,...")
    channel = image if image.ndim == 2 else image[..., 3] if image.shape[2] == 4 else image.max(axis=2)
    filled: Bitmap = channel > 0
    return filled


def _png_size(png: bytes) -> Size | None:
    """What a PNG's header says, before its pixels take any memory; None where it is no PNG."""
    if len(png) < PNG_HEADER.size:
        return None
    signature, width, height = PNG_HEADER.unpack_from(png)
    return Size(height, width) if signature == PNG_SIGNATURE else None


def outline(value: Value, size: Size) -> Points | None:
    """The corners in pixels, (N, 2), of what is drawn by its corners: polygons, vectors and boxes; None for the rest.

    Raises PromptError where they are damaged.
    """
    shape = shape_of(value)
    return OUTLINES[shape](value, size) if shape in OUTLINES else None


def _polygon(value: Value, size: Size) -> Points:
    points = value["points"]
    if not isinstance(points, list) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in points):
        raise PromptError("A polygon's points must be a list of [x, y].")
    return _corners([{"x": x, "y": y} for x, y in points], size)


def _vector(value: Value, size: Size) -> Points:
    vertices = value["vertices"]
    if not isinstance(vertices, list) or not all(isinstance(vertex, dict) for vertex in vertices):
        raise PromptError('A vector\'s vertices must be a list of {"x": ..., "y": ...}.')
    return _corners(vertices, size)


def _corners(points: list[Value], size: Size) -> Points:
    if len(points) < 3:
        raise PromptError(f"An outline needs at least 3 points, not {len(points)}.")
    return percent_to_pixels([(number(point, "x"), number(point, "y")) for point in points], size)


def _enclosed(value: Value, size: Size) -> Bitmap:
    ring = outline(value, size)
    assert ring is not None
    rows = np.clip(ring[:, 1], 0, size.height)
    if np.abs(rows - np.roll(rows, 1)).sum() > MOST_CROSSINGS:
        raise PromptError("The outline goes up and down too often to be filled. Send it with fewer points.")
    return polygons_to_mask([ring], size)


def _ellipse(value: Value, size: Size) -> Bitmap:
    x, y = percent_to_pixels((number(value, "x"), number(value, "y")), size).tolist()
    radii = number(value, "radiusX"), number(value, "radiusY")
    if min(radii) < SMALLEST_RADIUS:
        return np.zeros(size, np.bool_)
    radius_x, radius_y = percent_to_pixels(radii, size).tolist()
    return ellipse_to_mask(Ellipse(x, y, radius_x, radius_y, rotation(value)), size)


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
    "polygon": _enclosed,
    "vector": _enclosed,
    "ellipse": _ellipse,
    "rectangle": _enclosed,
}

OUTLINES: Mapping[Shape | None, Callable[[Value, Size], Points]] = {
    "polygon": _polygon,
    "vector": _vector,
    "rectangle": rectangle_corners,
}
