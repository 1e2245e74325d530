"""What Pillow decodes as RGB: transparency is laid over white, 16 bits a channel become the upper 8."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from label_studio_sam2.types import Area, Pixels

STRIP_PIXELS = 4_000_000


def rgb(picture: Image.Image, area: Area | None = None) -> Pixels:
    """(H, W, 3) of what Pillow decodes, or of a part of it. A few rows are converted at a time, so that a large
    picture is never held in three forms at once."""
    picture.load()
    convert = _converter(picture)
    x0, y0, x1, y1 = area or Area(0, 0, *picture.size)
    pixels = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // (x1 - x0))
    for top in range(y0, y1, rows):
        bottom = min(top + rows, y1)
        pixels[top - y0 : bottom - y0] = convert(picture.crop((x0, top, x1, bottom)))
    return pixels


def _converter(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    if picture.mode.startswith("I;16"):
        return lambda strip: (np.asarray(strip) >> 8).astype(np.uint8)[..., None]
    if picture.mode in {"I", "F"}:
        return _stretch(picture)
    if picture.has_transparency_data:
        return _over_white
    return lambda strip: np.asarray(strip.convert("RGB"))


def _stretch(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """32-bit greys have no agreed white: the darkest becomes 0 and the lightest 255."""
    low, high = np.asarray(picture.getextrema(), np.float64)
    scale = 255 / (high - low) if high > low else 0.0
    return lambda strip: ((np.asarray(strip, np.float64) - low) * scale).astype(np.uint8)[..., None]


def _over_white(strip: Image.Image) -> NDArray[np.uint8]:
    white = Image.new("RGBA", strip.size, "white")
    return np.asarray(Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB"))
