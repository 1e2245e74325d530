"""COCO's compressed run-length encoding of a mask, as pycocotools writes and reads it, character for character.

Runs go down the columns and begin with background. Each length is written as its difference from the one two
before it (from the fourth on), in groups of five bits, the lowest first, with a sixth bit that says "more follows",
plus 48 (cocodataset/cocoapi, common/maskApi.c, rleToString). Only the rows and columns that the object touches are
looked at, so a small object on a large frame costs little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.types import Bitmap, Box, Size

GROUPS = 7
"""Of five bits: enough for lengths below 2 ** 34."""

Numbers = NDArray[np.int64]


def encode(bitmap: Bitmap) -> str:
    """The `counts` of a mask (H, W)."""
    lengths = np.diff(_bounds(bitmap), prepend=0, append=bitmap.size)
    if lengths[-1] == 0 and len(lengths) > 1:
        lengths = lengths[:-1]
    return _text(np.concatenate([lengths[:3], lengths[3:] - lengths[1:-2]]))


def decode(counts: str, size: Size) -> Bitmap:
    """The mask (H, W) of `counts`. Raises PromptError where they don't make up a mask of this size."""
    lengths = _lengths(counts, size)
    columns = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(size.width, size.height)
    return np.ascontiguousarray(columns.T)


def box(counts: str, size: Size) -> Box | None:
    """The tight box of the mask, without drawing it. Raises PromptError as `decode` does."""
    bounds = np.cumsum(_lengths(counts, size))
    begins, ends = bounds[:-1:2], bounds[1::2]
    begins, ends = begins[ends > begins], ends[ends > begins]
    if not len(begins):
        return None
    height = size.height
    whole = begins // height != (ends - 1) // height  # runs that go on into the next column
    top = 0 if whole.any() else (begins % height).min()
    bottom = height if whole.any() else ((ends - 1) % height).max() + 1
    return Box(float(begins[0] // height), float(top), float((ends[-1] - 1) // height + 1), float(bottom))


def area(counts: str, size: Size) -> int:
    """How many pixels the mask has. Raises PromptError as `decode` does."""
    return int(_lengths(counts, size)[1::2].sum())


def _lengths(counts: str, size: Size) -> Numbers:
    lengths = _differences(counts)
    lengths[3::2] = np.cumsum(lengths[1::2])[1:]
    lengths[2::2] = np.cumsum(lengths[2::2])
    if (lengths < 0).any() or lengths.sum() != size.height * size.width:
        raise PromptError(f"The RLE counts don't make up a mask of {size.width} x {size.height} pixels.")
    return lengths


def _bounds(bitmap: Bitmap) -> Numbers:
    """Where, counted down the columns, background becomes object and object background."""
    around = tight_box(bitmap)
    if around is None:
        return np.empty(0, np.int64)
    left, top, right, bottom = map(int, around)
    columns = np.zeros((right - left, bottom - top + 2), np.bool_)
    columns[:, 1:-1] = bitmap[top:bottom, left:right].T
    column, row = np.nonzero(columns[:, 1:] != columns[:, :-1])
    bounds: Numbers = (left + column) * bitmap.shape[0] + top + row
    # An object that leaves a column at its bottom and enters the next at its top goes on without a bound.
    same = np.flatnonzero(bounds[1:] == bounds[:-1])
    return np.delete(bounds, np.concatenate([same, same + 1]))


def _text(differences: Numbers) -> str:
    groups = differences[:, None] >> 5 * np.arange(GROUPS)
    five = groups & 31
    rest = groups >> 5
    more = np.where(five & 16, rest != -1, rest != 0)
    written = np.concatenate(
        [np.ones((len(five), 1), np.bool_), np.logical_and.accumulate(more, axis=1)[:, :-1]], 1
    )
    codes = ((five | (more << 5)) + 48).astype(np.uint8)[written]
    return bytes(codes).decode("ascii")


def _differences(counts: str) -> Numbers:
    codes = np.frombuffer(counts.encode("utf-8"), np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise PromptError("The RLE counts are damaged: not what COCO's run-length encoding writes.")
    ends = np.flatnonzero(codes & 32 == 0)
    begins = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(codes)) - np.repeat(begins, ends - begins + 1)
    if place.max() >= GROUPS:
        raise PromptError("The RLE counts are damaged: a run is longer than any picture.")
    values: Numbers = np.add.reduceat((codes & 31) << 5 * place, begins)
    negative = (codes[ends] & 16) != 0
    return np.asarray(values - (negative.astype(np.int64) << 5 * (ends - begins + 1)), np.int64)
