"""One object of a picture, with its mask, and what a format wants of it: outlines, a turned box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from label_studio_sam2.exports.categories import Category
from label_studio_sam2.exports.rle import Rle
from label_studio_sam2.geometry import Points
from label_studio_sam2.outlines import joined, mask_to_outline
from label_studio_sam2.types import Bitmap, Size

VERTICES = 1000
"""Most corners of an outline: enough for any object that isn't torn."""

LEAST_IOU = 0.99
"""Of an outline without its steps and its mask; where it is less, as on small objects, the steps stay."""


@dataclass(frozen=True, slots=True)
class Instance:
    """`rings` are the corners in pixels that it was drawn by, one ring a part; empty where it was drawn by pixels.
    `region` is the region's id, `score` what the model rated it."""

    region: str
    category: Category
    mask: Rle
    rings: tuple[Points, ...] = ()
    score: float | None = None
    crowd: bool = False

    @property
    def label(self) -> str:
        return self.category.name

    def outlines(self) -> Sequence[Points]:
        """A ring for each part, its holes bridged in; what was drawn beyond the picture ends at its edge."""
        if self.rings and all(_inside(ring, self.mask.size) for ring in self.rings):
            return self.rings
        return _traced(self.mask.bitmap())

    def outline(self) -> Points:
        """All parts in one ring, bridges between them."""
        first, *others = self.outlines()
        return joined(first, others) if others else first

    def turned_box(self) -> Points:
        """The smallest box around it that may be turned: its four corners in pixels, (4, 2), not all of them in the
        picture. What was drawn as a box has that."""
        if len(self.rings) == 1 and _is_box(self.rings[0]):
            return self.rings[0]
        corners = np.concatenate(self.outlines()).astype(np.float32)
        return np.asarray(cv2.boxPoints(cv2.minAreaRect(corners)), np.float64)


def _traced(bitmap: Bitmap) -> tuple[Points, ...]:
    smoothed = mask_to_outline(bitmap, VERTICES)
    if smoothed.iou >= LEAST_IOU:
        return smoothed.polygons
    return mask_to_outline(bitmap, VERTICES, tolerance=0).polygons


def _inside(ring: Points, size: Size) -> bool:
    return bool((ring >= 0).all() and (ring <= size[::-1]).all())


def _is_box(ring: Points) -> bool:
    """Four corners with a right angle at each."""
    if len(ring) != 4:
        return False
    sides = np.roll(ring, -1, axis=0) - ring
    following = np.roll(sides, -1, axis=0)
    lengths = np.hypot(*sides.T)
    return bool((np.abs((sides * following).sum(axis=1)) <= 1e-6 * lengths * np.roll(lengths, -1)).all())
