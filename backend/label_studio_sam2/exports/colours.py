"""Colours for numbers: a palette that data sets share, and tints for people to tell objects apart by."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

GOLDEN = (5**0.5 - 1) / 2
"""Hues this far apart on the circle stay far apart however many there are."""


def palette() -> bytes:
    """256 RGB triples: Pascal VOC's, which DAVIS took over. The bits of a number go to the three colours in turn."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        colours[:, bit % 3] |= ((numbers >> bit & 1) << 7 - bit // 3).astype(np.uint8)
    return colours.tobytes()


def tint(number: int) -> NDArray[np.float64]:
    """An object's colour, RGB from 0 to 255."""
    return np.array(colorsys.hsv_to_rgb(number * GOLDEN % 1, 0.9, 1.0)) * 255
