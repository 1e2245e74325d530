"""Coordinate maps, boxes, ellipses, overlap. Pure numpy, nothing of the wire; polygons are in outlines.py.

Pixels are continuous coordinates: pixel (column 3, row 5) covers [3, 4) x [5, 6), so the picture's far corner is
(width, height). Percent are of the picture's width and height, as Label Studio writes them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from label_studio_sam2.types import Bitmap, Box, Size

Points = NDArray[np.float64]
"""(N, 2) of x and y."""


class Ellipse(NamedTuple):
    """Centre and radii in pixels; `rotation` in degrees, clockwise on the screen, of the x radius."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    rotation: float = 0.0


def percent_to_pixels(points: ArrayLike, size: Size) -> Points:
    return np.asarray(points, np.float64) * (size.width / 100, size.height / 100)


def pixels_to_percent(points: ArrayLike, size: Size) -> Points:
    return np.asarray(points, np.float64) * (100 / size.width, 100 / size.height)


def rotated_corners(box: Box, degrees: float) -> Points:
    """The four corners of a box turned clockwise about its top-left corner; pixels in, (4, 2) pixels out."""
    offsets = np.array(
        [(0, 0), (box.x1 - box.x0, 0), (box.x1 - box.x0, box.y1 - box.y0), (0, box.y1 - box.y0)]
    )
    return np.add(_turned(offsets, degrees), (box.x0, box.y0))


def _turned(offsets: Points, degrees: float) -> Points:
    """Turned clockwise on the screen, where y points down."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray(offsets @ np.array([(cos, sin), (-sin, cos)]), np.float64)


def hull(points: Points) -> Box:
    """The upright box around points."""
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Box(x0, y0, x1, y1)


def clipped(box: Box, size: Size) -> Box | None:
    """The part of a box inside the picture; None where there is none."""
    x0, y0 = max(box.x0, 0.0), max(box.y0, 0.0)
    x1, y1 = min(box.x1, float(size.width)), min(box.y1, float(size.height))
    return Box(x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def tight_box(bitmap: Bitmap) -> Box | None:
    """The smallest box around a mask, of whole pixels; None where the mask is empty."""
    rows = np.flatnonzero(bitmap.any(axis=1))
    if not rows.size:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(bitmap[y0:y1].any(axis=0))
    return Box(float(columns[0]), float(y0), float(columns[-1] + 1), float(y1))


def cropped(bitmap: Bitmap, box: Box) -> Bitmap:
    """The part of a mask in a box of whole pixels (a view)."""
    return bitmap[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]


def changes(bitmap: Bitmap) -> NDArray[np.int64]:
    """Where, in reading order, a pixel differs from the one before it."""
    flat = np.ascontiguousarray(bitmap).reshape(-1)
    return np.flatnonzero(flat[1:] != flat[:-1]) + 1


def iou(one: Bitmap, other: Bitmap) -> float:
    """Intersection over union; 1 for two empty masks."""
    both = np.count_nonzero(one & other)
    union = np.count_nonzero(one) + np.count_nonzero(other) - both
    return both / union if union else 1.0


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two upright boxes that have an area."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    both = max(width, 0.0) * max(height, 0.0)
    areas = ((box.x1 - box.x0) * (box.y1 - box.y0) for box in (one, other))
    return both / (sum(areas) - both)


def ellipse_to_mask(ellipse: Ellipse, size: Size) -> Bitmap:
    """The pixels whose centre lies in the ellipse."""
    bitmap = np.zeros(size, np.bool_)
    reach = max(ellipse.radius_x, ellipse.radius_y)
    around = Box(ellipse.x - reach, ellipse.y - reach, ellipse.x + reach, ellipse.y + reach)
    box = clipped(around, size)
    if box is None or min(ellipse.radius_x, ellipse.radius_y) <= 0:
        return bitmap
    x0, y0, x1, y1 = math.floor(box.x0), math.floor(box.y0), math.ceil(box.x1), math.ceil(box.y1)
    x, y = np.arange(x0, x1) + 0.5 - ellipse.x, np.arange(y0, y1)[:, None] + 0.5 - ellipse.y
    cos, sin = math.cos(math.radians(ellipse.rotation)), math.sin(math.radians(ellipse.rotation))
    along, across = (x * cos + y * sin) / ellipse.radius_x, (y * cos - x * sin) / ellipse.radius_y
    bitmap[y0:y1, x0:x1] = along**2 + across**2 <= 1
    return bitmap
