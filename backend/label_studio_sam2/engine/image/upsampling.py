"""From low-resolution logits to the mask at the picture's size, equal in every pixel to the stock predictor's.

What lies between two positive numbers is positive, so only the pixels between neighbours of different signs are
interpolated: the edges of the mask. That is less work than to interpolate all of it, and exact by construction.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.types import Bitmap, Size

TILE = 4096
"""Pixels a side that are worked on at once, which bounds the memory that the largest picture takes."""

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


class Neighbours(NamedTuple):
    """For each of N outputs along an axis its two neighbours among the inputs, and their weights, (N,) each."""

    first: Indices
    second: Indices
    from_first: Floats
    from_second: Floats

    @classmethod
    def along(cls, inputs: int, outputs: int, span: range) -> Neighbours:
        """For the outputs of `span`, in the precision of torch's CPU kernel (`align_corners=False`)."""
        at = np.arange(span.start, span.stop, dtype=np.float32)
        step, half = np.float32(inputs) / np.float32(outputs), np.float32(0.5)
        source = np.maximum(step * (at + half) - half, np.float32(0))
        first = np.minimum(source.astype(np.intp), inputs - 1)
        weight = np.clip(source - first.astype(np.float32), np.float32(0), np.float32(1))
        return cls(first, np.minimum(first + 1, inputs - 1), np.float32(1) - weight, weight)


def upsample(logits: Floats, size: Size) -> Bitmap:
    """Where low-resolution logits (S, S), brought to (H, W) as torch's bilinear interpolation does, are positive."""
    mask = np.empty(size, np.bool_)
    for rows, columns in product(_spans(size.height), _spans(size.width)):
        down = Neighbours.along(logits.shape[0], size.height, rows)
        across = Neighbours.along(logits.shape[1], size.width, columns)
        _fill(mask[rows.start : rows.stop, columns.start : columns.stop], logits, down, across)
    return mask


def _spans(length: int) -> Iterator[range]:
    return (range(start, min(start + TILE, length)) for start in range(0, length, TILE))


def _fill(mask: Bitmap, logits: Floats, down: Neighbours, across: Neighbours) -> None:
    """First along the rows, then between each two of them, as torch does it."""
    signs = logits > 0
    positive = np.take(signs, across.first, axis=1)
    row, x = _differing(positive, np.take(signs, across.second, axis=1))
    positive[row, x] = _along(logits, row, x, across) > 0
    np.take(positive, down.first, axis=0, out=mask, mode="clip")  # any other mode would buffer it
    starts = np.flatnonzero(np.diff(down.first, prepend=-1))
    upper, lower = down.first[starts], down.second[starts]
    pair, x = _differing(positive[upper], positive[lower])
    above, below = _along(logits, upper[pair], x, across), _along(logits, lower[pair], x, across)
    ends = np.searchsorted(pair, np.arange(len(starts) + 1)).tolist()
    for (start, stop), (begin, end) in zip(
        pairwise([*starts.tolist(), len(mask)]), pairwise(ends), strict=True
    ):
        from_above, from_below = down.from_first[start:stop, None], down.from_second[start:stop, None]
        between = _fused(above[begin:end], from_above, below[begin:end] * from_below)
        mask[start:stop, x[begin:end]] = between > 0


def _differing(one: Bitmap, other: Bitmap) -> tuple[Indices, Indices]:
    """Rows and columns where two bitmaps differ, row by row."""
    return np.divmod(np.flatnonzero(one != other), one.shape[1])


def _along(logits: Floats, row: Indices, x: Indices, across: Neighbours) -> Floats:
    """The values of some outputs on the inputs' rows."""
    left, right = logits[row, across.first[x]], logits[row, across.second[x]]
    return _fused(left, across.from_first[x], right * across.from_second[x])


def _fused(a: Floats, b: Floats, c: Floats) -> Floats:
    """a * b + c rounded once, as a processor's fused multiply-add does it."""
    return (a.astype(np.float64) * b + c).astype(np.float32)
