"""Prompts as annotators give them, for an object whose mask is known: clicks, corrective clicks, boxes.

With a random generator they vary from call to call, for tuning; without one they are the same every time, for
measuring. Pixels are the mask's own.
"""

from __future__ import annotations

import cv2
import numpy as np

from label_studio_sam2.geometry import cropped, tight_box
from label_studio_sam2.types import Bitmap, Box, Point

CENTRAL = 0.5
"""A click near the middle lies at least this deep, as a share of the deepest place."""

JITTER = 0.08
"""How far a hand-drawn box's edges lie off, as a share of the box's sides."""

NOTICEABLE = 0.0005
"""Of the picture: smaller errors are not corrected."""


def click(mask: Bitmap, rng: np.random.Generator | None = None) -> Point:
    """A positive click: half of them near the middle of the mask, half anywhere in it; without `rng` the deepest."""
    return _in(mask, True, rng)


def correction(mask: Bitmap, answered: Bitmap, rng: np.random.Generator | None = None) -> Point | None:
    """A click in the larger error, positive in what was missed, negative in what was added; None where the answer
    is about right (Segment Anything, appendix A: the next point lies in the error region)."""
    missed, added = mask & ~answered, answered & ~mask
    positive = bool(missed.sum() >= added.sum())
    error = missed if positive else added
    if error.sum() < max(1, NOTICEABLE * error.size):
        return None
    return _in(_largest_part(error), positive, rng)


def box(mask: Bitmap, rng: np.random.Generator | None = None) -> Box:
    """The tight box; with `rng` as a hand draws it, its edges off by some per cent, inside the picture."""
    tight = tight_box(mask)
    assert tight is not None, "an empty mask has no box"
    if rng is None:
        return tight
    height, width = mask.shape
    sides = np.array([tight.x1 - tight.x0, tight.y1 - tight.y0] * 2)
    moved = np.array(tight) + rng.normal(0, JITTER / 2, 4).clip(-JITTER, JITTER) * sides
    x0, y0, x1, y1 = np.clip(moved, 0, [width, height, width, height]).tolist()
    return Box(x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else tight


def _in(region: Bitmap, positive: bool, rng: np.random.Generator | None) -> Point:
    """A point in the middle of a pixel of the region."""
    around = tight_box(region)
    assert around is not None, "an empty mask can't be clicked"
    inside = cropped(region, around)
    if rng is None or rng.random() < 0.5:
        depth = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
        inside = depth >= depth.max() * (CENTRAL if rng is not None else 1)
    places = np.flatnonzero(inside)
    row, column = divmod(int(places[0] if rng is None else rng.choice(places)), inside.shape[1])
    return Point(around.x0 + column + 0.5, around.y0 + row + 0.5, positive)


def _largest_part(region: Bitmap) -> Bitmap:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8))
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else 0
    part: Bitmap = labels == largest
    return part
