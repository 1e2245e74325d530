"""Windows of a large picture to take a second look at, where what is asked for is too small for the first.

Their sides halve from the picture's longer side on, and they begin at halves of a side: so neighbouring objects, and
all clicks on one, share a window and its embedding. How large an object should be in its window was measured on drawn
scenes (`benchmarks/zoom.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import ceil, floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.types import Area, Bitmap, Box, PackedMask, Point, Prompt, Size, Zoom

ROOM = 3.0
"""Times the object's larger side that a window's is at least."""

STEPS = 2
"""In a window's side, at which windows begin: with four, clicks had twice as many to encode, and no better masks."""

LEAST_SIDE = 0.45
"""Of a window, in sides of the model's square: smaller ones have no more to show."""

DETAIL = 3
"""Sides of the model's square in a picture's, from which on there is much that the first look doesn't show."""

PAYS_FROM = {"auto": 2, "true": 1}
"""The layer, a halving each, from which on a second look is taken: an object larger than a twelfth of the picture is
seen as well in the first."""


MOST_WINDOWS = 16
"""For objects that are asked for together: each takes as long as encoding a picture."""


class Window(NamedTuple):
    """A part of the picture in whole pixels, x1 and y1 exclusive; `layer` 0 is the picture itself."""

    layer: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def size(self) -> Size:
        return Size(self.y1 - self.y0, self.x1 - self.x0)

    @property
    def area(self) -> Area:
        return Area(self.x0, self.y0, self.x1, self.y1)


def deepest(size: Size, model_side: int, zoom: Zoom) -> int:
    """The layer with the smallest windows of a picture; 0 where one look is all that it gets."""
    if zoom == "false" or (zoom == "auto" and max(size) < DETAIL * model_side):
        return 0
    return _layer(max(size), LEAST_SIDE * model_side)


def window_around(box: Box, size: Size, model_side: int, zoom: Zoom) -> Window | None:
    """The window for an object with this box (pixels); None where the first look is as good."""
    extent = max(box.x1 - box.x0, box.y1 - box.y0)
    layer = _layer(max(size), max(ROOM * extent, LEAST_SIDE * model_side))
    return window_at(middle(box), layer, size) if zoom != "false" and layer >= PAYS_FROM[zoom] else None


def windows_around(boxes: Sequence[Box], size: Size, model_side: int, zoom: Zoom) -> list[Window | None]:
    """Those for several objects. Where these would be too many, they are larger, so that more of them are shared, and
    objects whose windows few others share have none."""
    found = [window_around(box, size, model_side, zoom) for box in boxes]
    layer = max((window.layer for window in found if window), default=0)
    while len({*found} - {None}) > MOST_WINDOWS and layer > PAYS_FROM[zoom]:
        layer -= 1
        found = [
            window and window_at(middle(box), min(window.layer, layer), size)
            for box, window in zip(boxes, found, strict=True)
        ]
    shared = dict(Counter(window for window in found if window).most_common(MOST_WINDOWS))
    return [window if window in shared else None for window in found]


def tiles(layer: int, size: Size) -> list[Window]:
    """Windows of a layer that cover the picture, side by side."""
    side = max(size) / 2**layer
    across, down = (ceil(length / side) for length in (size.width, size.height))
    return [
        window_at(Point((column + 0.5) * side, (row + 0.5) * side), layer, size)
        for row in range(down)
        for column in range(across)
    ]


def window_at(centre: Point, layer: int, size: Size) -> Window:
    """The window of a layer whose middle is nearest to a point."""
    side = max(size) / 2**layer
    (x0, x1), (y0, y1) = _span(centre.x, side, size.width), _span(centre.y, side, size.height)
    return Window(layer, x0, y0, x1, y1)


def middle(box: Box) -> Point:
    return Point((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)


def holds(window: Window, prompt: Prompt) -> bool:
    """Whether all that a prompt says the object is at lies in the window."""
    x0, y0, x1, y1 = box_of(prompt)
    return window.x0 <= x0 and window.y0 <= y0 and x1 <= window.x1 and y1 <= window.y1


def box_of(prompt: Prompt, *, also: Box | None = None) -> Box:
    """Around a prompt's box and positive clicks, and another box."""
    boxes = [box for box in (prompt.box, also) if box is not None]
    boxes += [Box(point.x, point.y, point.x, point.y) for point in prompt.points if point.positive]
    rows = np.array(boxes)
    return Box(*rows[:, :2].min(axis=0).tolist(), *rows[:, 2:].max(axis=0).tolist())


def inside(prompt: Prompt, window: Window) -> Prompt:
    """The prompt in the window's pixels; negative clicks outside of it are none there."""
    points = [Point(point.x - window.x0, point.y - window.y0, point.positive) for point in prompt.points]
    width, height = window.size.width, window.size.height
    kept = tuple(one for one in points if one.positive or (0 <= one.x <= width and 0 <= one.y <= height))
    box, mask = prompt.box, None
    if prompt.mask is not None:
        drawn = prompt.mask.bitmap()[window.y0 : window.y1, window.x0 : window.x1]
        mask = PackedMask.of(np.ascontiguousarray(drawn))
    if box is not None:
        box = Box(box.x0 - window.x0, box.y0 - window.y0, box.x1 - window.x0, box.y1 - window.y0)
    return Prompt(kept, box, mask)


def found_box(logits: NDArray[np.float32], window: Window) -> Box | None:
    """About where in the picture the mask of low-resolution logits (S, S) of a window lies; None where it is empty."""
    rows, columns = (np.flatnonzero((logits > 0).any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    across, down = window.size.width / logits.shape[1], window.size.height / logits.shape[0]
    return Box(
        window.x0 + int(columns[0]) * across,
        window.y0 + int(rows[0]) * down,
        window.x0 + (int(columns[-1]) + 1) * across,
        window.y0 + (int(rows[-1]) + 1) * down,
    )


def pasted(bitmap: Bitmap, window: Window, size: Size) -> Bitmap:
    """A window's mask on the whole picture."""
    whole = np.zeros(size, np.bool_)
    whole[window.y0 : window.y1, window.x0 : window.x1] = bitmap
    return whole


def _layer(longer: int, side: float) -> int:
    """The deepest whose windows have at least this side."""
    layer = 0
    while longer / 2 ** (layer + 1) >= side:
        layer += 1
    return layer


def _span(middle: float, side: float, length: int) -> tuple[int, int]:
    step, whole = side / STEPS, ceil(side)
    begin = min(max(0, floor(round((middle - side / 2) / step) * step)), max(0, length - whole))
    return begin, min(length, begin + whole)
