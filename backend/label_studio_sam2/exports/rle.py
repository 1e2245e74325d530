"""A mask in few bytes: COCO's run lengths, with what is asked of it most."""

from __future__ import annotations

from typing import Any, NamedTuple

from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.types import Bitmap, Box, Size


class Rle(NamedTuple):
    """A mask that was checked: its COCO counts, its size, its tight box and its area in pixels."""

    counts: str
    size: Size
    box: Box
    area: int

    @classmethod
    def read(cls, counts: str, size: Size) -> Rle | None:
        """None where the mask is empty. Raises PromptError where they don't make up a mask of this size."""
        box = coco_rle.box(counts, size)
        return None if box is None else cls(counts, size, box, coco_rle.area(counts, size))

    @classmethod
    def of(cls, bitmap: Bitmap) -> Rle | None:
        """None where the mask is empty."""
        return cls.read(coco_rle.encode(bitmap), Size(*bitmap.shape))

    def bitmap(self) -> Bitmap:
        return coco_rle.decode(self.counts, self.size)

    def coco(self) -> dict[str, Any]:
        return {"size": list(self.size), "counts": self.counts}

    def coco_box(self) -> list[int]:
        """Left, top, width, height."""
        left, top, right, bottom = map(int, self.box)
        return [left, top, right - left, bottom - top]
