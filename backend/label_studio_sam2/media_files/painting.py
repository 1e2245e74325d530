"""Masks painted over pictures, for people to look at."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from label_studio_sam2.types import Bitmap, Pixels

DARK = (20, 20, 20)


def paint(picture: Pixels, mask: Bitmap, tint: ArrayLike, *, opacity: float, edge: int = 0) -> None:
    """Lays a tint (RGB) over the object on a picture (H, W, 3), and a line of that tint, `edge` pixels wide, along its
    border; a dark one below it keeps it apart from whatever it lies on."""
    colour = np.asarray(tint)
    picture[mask] = ((1 - opacity) * picture[mask] + opacity * colour).astype(np.uint8)
    if edge:
        rings, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for line, width in ((DARK, edge + 2), (colour.tolist(), edge)):
            cv2.drawContours(picture, rings, -1, line, width, cv2.LINE_AA)
