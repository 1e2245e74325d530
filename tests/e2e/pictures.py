"""Drawn pictures whose masks are known, as files to upload, and saved regions as masks to compare with them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from label_studio_sdk.converter.brush import decode_rle
from numpy.typing import NDArray
from PIL import Image

from demo_model.sample import deepest
from demo_model.scenes import Scene, draw_scene

Bitmap = NDArray[np.bool_]
Place = tuple[float, float]

WIDTH, HEIGHT = 640, 480
FAINT = 10
"""Of 255: a polygon's and a box's inside is tinted by a fifth of its colour."""

UPRIGHT, ROTATED_LEFT = 1, 6
"""EXIF orientations: 6 is how a phone held upright writes its sensor's landscape rows."""


@dataclass(frozen=True)
class Subject:
    """One object of a picture: its true mask, and where to click it."""

    mask: Bitmap

    @property
    def inside(self) -> Place:
        return deepest(self.mask)

    @property
    def corners(self) -> tuple[Place, Place]:
        """Of the tight box: top left and bottom right."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return (int(columns[0]), int(rows[0])), (int(columns[-1]) + 1, int(rows[-1]) + 1)

    @property
    def box(self) -> Bitmap:
        """The tight box, filled."""
        (left, top), (right, bottom) = self.corners
        filled = np.zeros_like(self.mask)
        filled[int(top) : int(bottom), int(left) : int(right)] = True
        return filled

    @property
    def tilted_corners(self) -> tuple[Place, Place, Place]:
        """Three corners of the smallest rotated box, in order around it."""
        contours, _ = cv2.findContours(self.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        corners = cv2.boxPoints(cv2.minAreaRect(np.concatenate(contours)))
        a, b, c = ((float(x), float(y)) for x, y in corners[:3])
        return a, b, c


@dataclass(frozen=True)
class Picture:
    """A drawn scene; its subjects are whole, inside the picture, largest first."""

    scene: Scene

    @classmethod
    def draw(cls, seed: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
        return cls(draw_scene(seed, width=width, height=height))

    @property
    def subjects(self) -> list[Subject]:
        whole = [mask for mask in self.scene.masks if not _touches_the_border(mask)]
        return [Subject(mask) for mask in sorted(whole, key=lambda mask: -int(mask.sum()))]

    def png(self) -> bytes:
        content = io.BytesIO()
        Image.fromarray(self.scene.image).save(content, "PNG")
        return content.getvalue()

    def phone_photo(self) -> bytes:
        """A JPEG whose rows lie on their side, with the EXIF orientation that sets them upright again."""
        exif = Image.Exif()
        exif[0x0112] = ROTATED_LEFT
        content = io.BytesIO()
        sideways = np.rot90(self.scene.image, 1)
        Image.fromarray(np.ascontiguousarray(sideways)).save(content, "JPEG", quality=95, exif=exif)
        return content.getvalue()


def brush_mask(region: dict[str, Any]) -> Bitmap:
    """A saved brush region as Label Studio's own SDK reads it."""
    size = region["original_height"], region["original_width"]
    flat = np.asarray(decode_rle(region["value"]["rle"]), np.uint8)
    return flat.reshape(*size, 4)[..., 3] > 0


def bitmask_mask(region: dict[str, Any]) -> Bitmap:
    """A saved bitmask region: the alpha of its PNG."""
    png = base64.b64decode(region["value"]["imageDataURL"].partition(",")[2])
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3] > 0


def polygon_mask(region: dict[str, Any]) -> Bitmap:
    height, width = region["original_height"], region["original_width"]
    points = np.array(region["value"]["points"]) * (width / 100, height / 100)
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [points.round().astype(np.int32)], 1)
    return canvas.astype(np.bool_)


def box_mask(region: dict[str, Any]) -> Bitmap:
    height, width = region["original_height"], region["original_width"]
    value, canvas = region["value"], np.zeros((height, width), np.bool_)
    left, top = value["x"] * width / 100, value["y"] * height / 100
    right, bottom = left + value["width"] * width / 100, top + value["height"] * height / 100
    canvas[round(top) : round(bottom), round(left) : round(right)] = True
    return canvas


def iou(one: Bitmap, other: Bitmap) -> float:
    """Intersection over union; 0 for masks of different sizes."""
    if one.shape != other.shape:
        return 0.0
    union = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / union) if union else 1.0


def painted(before: NDArray[np.uint8], after: NDArray[np.uint8], truth: Bitmap) -> float:
    """IoU of a mask with the pixels of the screen that have changed, in its box: tools lie over the rest."""
    changed = np.abs(before.astype(int) - after).max(axis=2) > FAINT
    rows = np.linspace(0, changed.shape[0] - 1, truth.shape[0]).round().astype(int)
    columns = np.linspace(0, changed.shape[1] - 1, truth.shape[1]).round().astype(int)
    return iou(changed[np.ix_(rows, columns)] & Subject(truth).box, truth)


def _touches_the_border(mask: Bitmap) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
