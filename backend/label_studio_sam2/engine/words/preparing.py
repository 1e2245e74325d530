"""A picture as OWLv2 wants it: equal to the library's `Owlv2ImageProcessor`, which filters a photo of 12 megapixels for
ten seconds and more, since its Gaussian isn't separated."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import cv2
import numpy as np

from label_studio_sam2.engine.words.tokens import Floats
from label_studio_sam2.types import Pixels

WHITE = 255.0


def squared(pixels: Pixels, side: int, mean: Sequence[float], std: Sequence[float]) -> Floats:
    """(3, side, side): black at the right or lower edge until it is a square, smoothed, resized, normalised by the mean
    and standard deviation of red, green and blue between 0 and 1.

    Channel by channel, so that a picture of 100 megapixels never stands in memory as three float planes.
    """
    height, width = pixels.shape[:2]
    whole = max(height, width)
    planes = np.empty((3, side, side), np.float32)
    for channel in range(3):
        plane = np.zeros((whole, whole), np.float32)
        plane[:height, :width] = pixels[..., channel]
        smooth = _smoothed(plane, (whole / side - 1) / 2)
        planes[channel] = cv2.resize(smooth, (side, side), interpolation=cv2.INTER_LINEAR)
        planes[channel] = (planes[channel] / np.float32(WHITE) - mean[channel]) / std[channel]
    return planes


def _smoothed(plane: Floats, sigma: float) -> Floats:
    """By a Gaussian of this many pixels, cut off at three of them; none where the picture is enlarged."""
    if sigma <= 0:
        return plane
    kernel = 2 * ceil(3 * sigma) + 1
    smooth: Floats = np.asarray(
        cv2.GaussianBlur(plane, (kernel, kernel), sigma, borderType=cv2.BORDER_REFLECT_101), np.float32
    )
    return smooth
