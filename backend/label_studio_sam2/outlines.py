"""Masks as polygons and ellipses, and back.

Outlines run along the pixels' edges, so that area and place are exact.

`cv2.findContours` gives the centres of border pixels, half a pixel inside of the object's edge all around; the
edges are derived from its chain of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.geometry import Ellipse, Points, cropped, iou, tight_box
from label_studio_sam2.types import Bitmap, Box, Size

Ring = NDArray[np.float32]
"""(N, 2) corners x, y of a closed outline, the last joined to the first."""

TOLERANCE = 0.75
"""Pixels that simplification may move the outline by at first: just enough to take the steps out of a slope."""

GROWTH = 1.4
"""How much more it may move at each further try to meet the budget of vertices."""

STEPS = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)])
"""The eight neighbours, clockwise on the screen."""

CORNERS = {0: (1, 1), 2: (0, 1), 4: (0, 0), 6: (1, 0)}
"""By side of a pixel (an index into STEPS): the corner at which that side begins, going round counterclockwise."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A mask's parts as polygons in pixels, each with its holes bridged in, largest first.

    `iou` is the overlap of what they enclose with the mask itself.
    """

    polygons: tuple[Points, ...]
    iou: float

    @property
    def vertices(self) -> int:
        return sum(len(polygon) for polygon in self.polygons)


def mask_to_outline(bitmap: Bitmap, vertices: int, tolerance: float = TOLERANCE) -> Outline:
    """All parts of a mask, with their holes, in about `vertices` corners altogether; no polygons for an empty mask.
    The outline may move by `tolerance` pixels from the first; 0 keeps every step, as far as the corners last.

    The smallest parts and holes are given up only where even triangles for all would exceed the budget.
    """
    box = tight_box(bitmap)
    if box is None:
        return Outline((), 1.0)
    parts = _simplified(_traced(np.ascontiguousarray(cropped(bitmap, box))), vertices, tolerance)
    polygons = tuple(np.add(joined(outer, holes), (box.x0, box.y0)) for outer, holes in parts)
    return Outline(polygons, _overlap(polygons, bitmap, box))


def _overlap(polygons: tuple[Points, ...], bitmap: Bitmap, box: Box) -> float:
    """IoU of the polygons with a mask that lies in the box, which simplified ones may reach out of."""
    corners = np.vstack([*polygons, (box.x0, box.y0), (box.x1, box.y1)])
    first = np.maximum(np.floor(corners.min(axis=0)), 0)
    last = np.minimum(np.ceil(corners.max(axis=0)), bitmap.shape[::-1])
    crop = cropped(bitmap, Box(*first.tolist(), *last.tolist()))
    return iou(crop, polygons_to_mask([polygon - first for polygon in polygons], Size(*crop.shape)))


def mask_to_ellipse(bitmap: Bitmap) -> Ellipse | None:
    """The ellipse with the mask's area, place and variances (all parts together); None where it is empty.

    The variance of a full ellipse along an axis is a quarter of that radius squared.
    """
    box = tight_box(bitmap)
    if box is None:
        return None
    area, x, y, xx, xy, yy = _moments(_traced(np.ascontiguousarray(cropped(bitmap, box))))
    x, y = x / area, y / area
    xx, xy, yy = xx / area - x * x, xy / area - x * y, yy / area - y * y
    spread, middle = math.hypot((xx - yy) / 2, xy), (xx + yy) / 2
    long, short = 2 * math.sqrt(middle + spread), 2 * math.sqrt(max(middle - spread, 1 / 12))
    return Ellipse(box.x0 + x, box.y0 + y, long, short, math.degrees(math.atan2(2 * xy, xx - yy) / 2))


def polygons_to_mask(polygons: list[Points], size: Size) -> Bitmap:
    """The pixels whose centre lies in an odd number of polygons."""
    edges = [np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in polygons if len(ring)]
    if not edges:
        return np.zeros(size, np.bool_)
    x0, y0, x1, y1 = np.concatenate(edges).T
    first = np.clip(np.ceil(np.minimum(y0, y1) - 0.5), 0, size.height).astype(np.int64)
    beyond = np.clip(np.ceil(np.maximum(y0, y1) - 0.5), 0, size.height).astype(np.int64)
    crossed = beyond - first
    edge = np.repeat(np.arange(len(crossed)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edge]
    # Divided last, a crossing at a pixel's very centre is exact, wherever the polygon lies.
    along = (row + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    column = np.clip(np.ceil(x0[edge] + along - 0.5), 0, size.width).astype(np.int64)
    switches = np.sort(row * size.width + column)
    return _filled(switches, size)


def _filled(switches: NDArray[np.int64], size: Size) -> Bitmap:
    """Every crossing turns the fill over; a row has an even number of them, so it begins and ends empty."""
    lengths = np.diff(switches, prepend=0, append=size.height * size.width)
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size)


Part = tuple[Ring, list[Ring]]
"""An outer ring and its holes."""


def _traced(bitmap: Bitmap) -> list[Part]:
    contours, hierarchy = cv2.findContours(bitmap.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts: dict[int, Part] = {}
    for index, (contour, links) in enumerate(zip(contours, hierarchy[0], strict=True)):
        if links[3] < 0:
            parts[index] = (_edges(contour[:, 0]), [])
    for contour, links in zip(contours, hierarchy[0], strict=True):
        if links[3] >= 0:
            parts[int(links[3])][1].append(_edges(contour[:, 0]))
    return list(parts.values())


def _moments(parts: list[Part]) -> NDArray[np.float64]:
    """Area, first and second moments about the origin, by Green's theorem along the outlines."""
    names = ("m00", "m10", "m01", "m20", "m11", "m02")
    total = np.zeros(len(names))
    for outer, holes in parts:
        for ring, sign in ((outer, 1), *((hole, -1) for hole in holes)):
            moments = cv2.moments(ring)
            total += [sign * moments[name] for name in names]
    return total


def _sides() -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """For each pair of directions (to the pixel before, to the next): how many sides lie open between them on the
    background's side, and the corners at which these begin. The background is on the counterclockwise side."""
    counts, corners = np.zeros((8, 8), np.intp), np.zeros((8, 8, 4, 2), np.float32)
    for before in range(8):
        for after in range(8):
            turn = (before - after) % 8 or 8
            between = [(before - step) % 8 for step in range(1, turn)]
            opened = [CORNERS[side] for side in between if side in CORNERS]
            counts[before, after] = len(opened)
            corners[before, after, : len(opened)] = opened or np.zeros((0, 2))
    return counts, corners


COUNTS, STARTS = _sides()
DIRECTION = np.full((3, 3), -1)
DIRECTION[STEPS[:, 1] + 1, STEPS[:, 0] + 1] = np.arange(8)


def _edges(contour: NDArray[np.int32]) -> Ring:
    """The outline along pixel edges of a contour of pixel centres."""
    if len(contour) == 1:
        return contour.astype(np.float32) + np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float32)
    step = np.roll(contour, -1, axis=0) - contour
    after = DIRECTION[step[:, 1] + 1, step[:, 0] + 1]
    before = (np.roll(after, 1) + 4) % 8
    counts = COUNTS[before, after]
    pixel = np.repeat(np.arange(len(contour)), counts)
    nth = np.arange(len(pixel)) - np.repeat(np.cumsum(counts) - counts, counts)
    ring: Ring = contour.astype(np.float32)[pixel] + STARTS[before[pixel], after[pixel], nth]
    return ring


def _simplified(parts: list[Part], budget: int, tolerance: float) -> list[Part]:
    """Each round simplifies what the round before left, which costs little and adds up the tolerances."""
    simpler = _each(_largest(parts, budget, fewest=3), tolerance)
    while _vertices(simpler) > budget and not _minimal(simpler):
        tolerance = max(TOLERANCE, tolerance * GROWTH)
        simpler = _each(simpler, tolerance)
    return _largest(simpler, budget)


def _each(parts: list[Part], tolerance: float) -> list[Part]:
    return [
        (_simpler(outer, tolerance), [_simpler(hole, tolerance) for hole in holes]) for outer, holes in parts
    ]


def _simpler(ring: Ring, tolerance: float) -> Ring:
    """Douglas and Peucker; a ring that would collapse becomes the smallest turned rectangle around it."""
    simpler: Ring = cv2.approxPolyDP(ring, tolerance, closed=True)[:, 0]
    if len(simpler) >= 3 and cv2.contourArea(simpler) > 0:
        return simpler
    return ring if len(ring) <= 4 else cv2.boxPoints(cv2.minAreaRect(ring))


def _vertices(parts: list[Part]) -> int:
    """Corners altogether; a bridge to a hole repeats its two ends."""
    return sum(len(outer) + sum(len(hole) + 2 for hole in holes) for outer, holes in parts)


def _minimal(parts: list[Part]) -> bool:
    return all(len(ring) <= 4 for outer, holes in parts for ring in (outer, *holes))


def _largest(parts: list[Part], budget: int, fewest: int | None = None) -> list[Part]:
    """Without the smallest parts and holes, so far as the budget asks for it; the largest part always stays.

    `fewest` counts that many corners a ring, whatever it has now.
    """
    kept: list[Part] = []
    for outer, holes in sorted(parts, key=lambda part: -cv2.contourArea(part[0])):
        budget -= fewest or len(outer)
        if budget < 0 and kept:
            break
        room: list[Ring] = []
        for hole in sorted(holes, key=lambda hole: -cv2.contourArea(hole)):
            budget -= (fewest or len(hole)) + 2
            if budget < 0:
                break
            room.append(hole)
        kept.append((outer, room))
    return kept


def joined(outer: NDArray[Any], others: Sequence[NDArray[Any]]) -> Points:
    """One ring that goes to each other (a hole, or another part) and back over a bridge without width, between the
    two nearest corners."""
    ring = outer.astype(np.float64)
    for hole in others:
        distance = ((ring[:, None] - hole[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(distance.argmin(), distance.shape)
        around = np.roll(hole, -int(there), axis=0)
        ring = np.concatenate([ring[: here + 1], around, around[:1], ring[here:]])
    return ring
