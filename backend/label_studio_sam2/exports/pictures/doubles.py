"""What an annotation holds of one object a second time, because two tags of the labeling config drew it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from label_studio_sam2.exports.rle import Rle
from label_studio_sam2.geometry import Points, box_iou, ellipse_to_mask, iou
from label_studio_sam2.labelstudio.regions.depicted import Depicted
from label_studio_sam2.outlines import mask_to_ellipse
from label_studio_sam2.types import Bitmap, Size

ALIKE = 0.9
"""IoU from which two tags have drawn the same object: an outline of a hundred corners costs a few percent."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A region with its mask, and the corners in pixels of each of its parts where it was drawn by corners."""

    region: Depicted
    mask: Rle
    rings: tuple[Points, ...]

    def named_as(self, other: Depicted) -> bool:
        """Whether the labels may be the same object's: also where one has none."""
        return not self.region.labels or not other.labels or self.region.labels == other.labels


def without_doubles(objects: Sequence[Drawn]) -> list[Drawn]:
    """Of what is drawn twice, what tells more of its shape stays, and the first where both tell the same."""
    ranked = sorted(objects, key=lambda one: -one.region.detail)
    doubles: set[str] = set()
    for place, one in enumerate(ranked):
        if one.region.id not in doubles:
            later = [other for other in ranked[place + 1 :] if other.region.id not in doubles]
            doubles |= {double.region.id for double in _doubles(one, later)}
    return [one for one in objects if one.region.id not in doubles]


def _doubles(one: Drawn, others: Sequence[Drawn]) -> Sequence[Drawn]:
    able = [
        other
        for other in others
        if one.named_as(other.region)
        and not one.region.controls & other.region.controls
        and box_iou(one.mask.box, other.mask.box) > 0
    ]
    if not able:
        return []
    boxes = [other for other in able if other.region.shape == "rectangle"]
    found = [other for other in boxes if box_iou(one.mask.box, other.mask.box) >= ALIKE]
    rest = [other for other in able if other.region.shape != "rectangle"]
    return [*found, *_drawn_alike(one, rest)] if rest else found


def _drawn_alike(one: Drawn, others: Sequence[Drawn]) -> list[Drawn]:
    bitmap = one.mask.bitmap()
    ellipses = [other for other in others if other.region.shape == "ellipse"]
    round_one = _as_ellipse(bitmap) if ellipses and one.region.shape != "ellipse" else bitmap
    found = [other for other in ellipses if iou(round_one, other.mask.bitmap()) >= ALIKE]
    # A tag that can't draw parts as one draws each as a region: they are the object together.
    rest = [other for other in others if other.region.shape != "ellipse"]
    inside = [
        other for other in rest if np.count_nonzero(other.mask.bitmap() & bitmap) >= ALIKE * other.mask.area
    ]
    if inside and iou(bitmap, np.logical_or.reduce([other.mask.bitmap() for other in inside])) >= ALIKE:
        found += inside
    return found


def _as_ellipse(bitmap: Bitmap) -> Bitmap:
    """What an ellipse tag shows of a mask."""
    ellipse = mask_to_ellipse(bitmap)
    return bitmap if ellipse is None else ellipse_to_mask(ellipse, Size(*bitmap.shape))
