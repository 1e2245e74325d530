"""A drawn object and the canvas it is painted on."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_model.shapes import Outline
from demo_model.textures import Pixels, Texture

_SUBPIXEL_BITS = 4
_LARGEST_PATCH = 512  # pixels; larger objects stretch their texture


@dataclass(frozen=True)
class Pose:
    """Where an object is, in units of the canvas's shorter side."""

    x: float
    y: float
    radius: float
    angle: float = 0.0  # radians

    def matrix(self, unit: float) -> NDArray[np.float64]:
        """(2, 3): from the object's own coordinates to pixel corners of a canvas whose shorter side is `unit`."""
        scale = self.radius * unit
        cos, sin = scale * np.cos(self.angle), scale * np.sin(self.angle)
        return np.array([[cos, -sin, self.x * unit], [sin, cos, self.y * unit]])


@dataclass(frozen=True)
class Sprite:
    """A shape with its surface; `label` is its number in the canvas's label map, 0 for what is no object."""

    outline: Outline
    texture: Texture
    label: int
    shadow: float = 0.0  # how dark a shadow it casts, 0 to 1

    def patch_size(self, radius_px: float) -> int:
        """Pixels a side that its texture needs to be painted with at this radius."""
        return int(np.clip(np.ceil(2 * radius_px), 8, _LARGEST_PATCH))


@dataclass(frozen=True)
class Canvas:
    """A picture in the making: RGB (H, W, 3) and labels (H, W), both uint8 and painted on in place."""

    rgb: Pixels
    labels: Pixels

    @property
    def unit(self) -> float:
        """Pixels of the shorter side."""
        return float(min(self.labels.shape))

    def paint(self, sprite: Sprite, pose: Pose, patch: Pixels | None = None) -> None:
        """Paint a sprite over what is there. `patch` is its painted texture, if the caller kept one."""
        to_canvas = pose.matrix(self.unit)
        curves = [curve @ to_canvas[:, :2].T + to_canvas[:, 2] for curve in sprite.outline.curves]
        if sprite.shadow:
            self._darken(curves, pose.radius * self.unit, sprite.shadow)
        window = self._window(curves, margin=1)
        if window is None:
            return
        cover = _coverage(curves, window)
        if patch is None:
            patch = sprite.texture.paint(sprite.patch_size(pose.radius * self.unit))
        surface = _warp(patch, to_canvas, window)
        rows, columns = window
        under = self.rgb[rows, columns].astype(np.float32)
        share = cover[..., None].astype(np.float32) / 255
        self.rgb[rows, columns] = (under + share * (surface - under) + 0.5).astype(np.uint8)
        self.labels[rows, columns][cover >= 128] = sprite.label

    def _darken(self, curves: list[NDArray[np.float64]], radius_px: float, strength: float) -> None:
        """A soft shadow, a little to the lower right."""
        moved = [curve + 0.12 * radius_px for curve in curves]
        window = self._window(moved, margin=int(0.4 * radius_px) + 1)
        if window is None:
            return
        soft = cv2.GaussianBlur(_coverage(moved, window), (0, 0), max(0.12 * radius_px, 0.5))
        rows, columns = window
        shade = 1 - strength * soft[..., None].astype(np.float32) / 255
        self.rgb[rows, columns] = (self.rgb[rows, columns] * shade).astype(np.uint8)

    def _window(self, curves: list[NDArray[np.float64]], margin: int) -> tuple[slice, slice] | None:
        """Rows and columns that the curves and a margin reach; None where that is outside the canvas."""
        low = np.floor(np.min([curve.min(axis=0) for curve in curves], axis=0)).astype(int) - margin
        high = np.ceil(np.max([curve.max(axis=0) for curve in curves], axis=0)).astype(int) + margin
        height, width = self.labels.shape
        left, right = max(int(low[0]), 0), min(int(high[0]), width)
        top, bottom = max(int(low[1]), 0), min(int(high[1]), height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)


def _coverage(curves: list[NDArray[np.float64]], window: tuple[slice, slice]) -> Pixels:
    """How much of each of the window's pixels lies inside the curves, 0 to 255."""
    rows, columns = window
    cover = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.uint8)
    # OpenCV counts from pixel centres, the curves from pixel corners.
    origin = np.array([columns.start + 0.5, rows.start + 0.5])
    fixed = [np.round((curve - origin) * (1 << _SUBPIXEL_BITS)).astype(np.int32) for curve in curves]
    cv2.fillPoly(cover, fixed, 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return cover


def _warp(patch: Pixels, to_canvas: NDArray[np.float64], window: tuple[slice, slice]) -> NDArray[np.float32]:
    """The painted texture as it lies on the canvas, cut to the window: (h, w, 3) float32."""
    rows, columns = window
    cell = 2 / len(patch)
    matrix = to_canvas.copy()
    matrix[:, 2] += to_canvas[:, :2] @ np.full(2, cell / 2 - 1) - (columns.start + 0.5, rows.start + 0.5)
    matrix[:, :2] *= cell
    size = (columns.stop - columns.start, rows.stop - rows.start)
    warped = cv2.warpAffine(patch, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)
