"""An object that was found on a picture: its mask, cut to its edges, and how sure everything mode is of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from label_studio_sam2.types import Bitmap, PackedMask, Point, Size


class Edges(NamedTuple):
    """First and last columns and rows of a mask, all inclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def of(cls, bitmap: Bitmap, x0: int = 0, y0: int = 0) -> Edges | None:
        """Of a mask whose first pixel lies at (x0, y0); None where it is empty."""
        rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
        if not rows.size:
            return None
        return cls(x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]), y0 + int(rows[-1]))


@dataclass(frozen=True, slots=True)
class Cutout:
    """A mask, cut to its edges: of a picture of many megapixels a few kilobytes."""

    mask: PackedMask
    edges: Edges

    @classmethod
    def of(cls, bitmap: Bitmap) -> Cutout | None:
        """Of a mask of the whole picture; None where it is empty."""
        edges = Edges.of(bitmap)
        if edges is None:
            return None
        x0, y0, x1, y1 = edges
        return cls(PackedMask.of(bitmap[y0 : y1 + 1, x0 : x1 + 1]), edges)

    def overlap(self, other: Cutout) -> float:
        """IoU of the two masks."""
        (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = self.edges, other.edges
        x0, y0, x1, y1 = max(ax0, bx0), max(ay0, by0), min(ax1, bx1) + 1, min(ay1, by1) + 1
        if x0 >= x1 or y0 >= y1:
            return 0.0
        one, two = self.mask.bitmap(), other.mask.bitmap()
        both = np.count_nonzero(
            one[y0 - ay0 : y1 - ay0, x0 - ax0 : x1 - ax0] & two[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0]
        )
        return both / (np.count_nonzero(one) + np.count_nonzero(two) - both)

    def bitmap(self, size: Size) -> Bitmap:
        """The mask on the whole picture."""
        bitmap = np.zeros(size, np.bool_)
        bitmap[self.edges.y0 : self.edges.y1 + 1, self.edges.x0 : self.edges.x1 + 1] = self.mask.bitmap()
        return bitmap


@dataclass(frozen=True, slots=True)
class FoundObject(Cutout):
    """One object of everything mode: `score` the predicted IoU, `stability` the IoU of the mask with itself at a higher
    and a lower cutoff, `point` the click (in pixels of the picture) that found it."""

    score: float
    stability: float
    point: Point
