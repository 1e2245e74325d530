"""Surfaces of drawn objects and backgrounds, at any resolution.

The families of the two splits are disjoint: nothing a model was trained on looks like the held-out surfaces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_model.shapes import Difficulty

Split: TypeAlias = Literal["training", "held_out"]
Grid: TypeAlias = NDArray[np.float32]
Pixels: TypeAlias = NDArray[np.uint8]
Colour: TypeAlias = NDArray[np.float64]

FAMILIES: dict[tuple[Split, Difficulty], tuple[str, ...]] = {
    ("training", "plain"): ("flat", "linear", "clouds", "flat", "linear"),
    ("training", "hard"): ("linear", "clouds", "stripes", "checks", "dots", "speckle"),
    ("held_out", "plain"): ("radial", "waves"),
    ("held_out", "hard"): ("radial", "waves", "bricks", "chevrons", "hatching", "rings"),
}


@dataclass(frozen=True)
class Style:
    """Which of the drawn pictures: for training or held out, plain or hard."""

    split: Split
    difficulty: Difficulty


@dataclass(frozen=True)
class Place:
    """Where each pixel of a square lies, from -1 to 1 along a texture's direction and across it."""

    along: Grid
    across: Grid


@dataclass(frozen=True)
class Texture:
    """A surface between two RGB colours (0 to 255) over the square of side 2 around an object's origin."""

    family: str
    colours: tuple[Colour, Colour]
    frequency: float  # repeats across the square
    angle: float  # radians
    phase: float  # radians
    seed: int  # of the random families

    def paint(self, size: int) -> Pixels:
        """The square as (size, size, 3) RGB."""
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        at = Place(cos * axis[None, :] + sin * axis[:, None], -sin * axis[None, :] + cos * axis[:, None])
        share = _PATTERNS[self.family](self, at)
        first, second = (colour.astype(np.float32) for colour in self.colours)
        blended: Grid = first + share[..., None] * (second - first)
        return np.clip(blended, 0, 255).astype(np.uint8)


def random_texture(rng: np.random.Generator, style: Style, colour: Colour, contrast: float) -> Texture:
    """A surface around `colour` whose second colour lies about `contrast` (0 to 255 a channel) away from it."""
    families = FAMILIES[style.split, style.difficulty]
    other = np.clip(colour + rng.uniform(-contrast, contrast, 3), 0, 255)
    return Texture(
        family=families[int(rng.integers(len(families)))],
        colours=(colour, other),
        frequency=rng.uniform(2, 6),
        angle=rng.uniform(0, 2 * np.pi),
        phase=rng.uniform(0, 2 * np.pi),
        seed=int(rng.integers(1 << 31)),
    )


def _noise(seed: int, cells: int, size: int) -> Grid:
    """Smooth noise between 0 and 1, the same picture at every size."""
    grid = np.random.default_rng(seed).random((cells, cells), dtype=np.float32)
    smooth = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(smooth, 0, 1), np.float32)


def _flat(_texture: Texture, at: Place) -> Grid:
    return np.zeros_like(at.along)


def _linear(_texture: Texture, at: Place) -> Grid:
    return np.clip(0.5 + 0.5 * at.along, 0, 1)


def _clouds(texture: Texture, at: Place) -> Grid:
    return _noise(texture.seed, 2 + int(texture.frequency), len(at.along))


def _speckle(texture: Texture, at: Place) -> Grid:
    return _noise(texture.seed, 6 + 4 * int(texture.frequency), len(at.along))


def _stripes(texture: Texture, at: Place) -> Grid:
    return _soft_step(np.sin(np.pi * texture.frequency * at.along + texture.phase))


def _checks(texture: Texture, at: Place) -> Grid:
    waves = np.sin(np.pi * texture.frequency * at.along + texture.phase) * np.sin(
        np.pi * texture.frequency * at.across
    )
    return _soft_step(2 * waves)


def _dots(texture: Texture, at: Place) -> Grid:
    waves = np.cos(np.pi * texture.frequency * at.along) + np.cos(
        np.pi * texture.frequency * at.across + texture.phase
    )
    return _soft_step(waves - 0.8)


def _radial(texture: Texture, at: Place) -> Grid:
    off = np.float32(0.4 * np.sin(texture.phase))
    return np.asarray(np.clip(0.7 * np.hypot(at.along - off, at.across), 0, 1), np.float32)


def _waves(texture: Texture, at: Place) -> Grid:
    bent = at.along + np.float32(0.25) * np.sin(3 * at.across + np.float32(texture.phase))
    wave = np.sin(np.float32(0.6 * texture.frequency) * bent + np.float32(texture.phase))
    return np.asarray(0.5 + 0.5 * wave, np.float32)


def _bricks(texture: Texture, at: Place) -> Grid:
    row = np.floor(at.across * np.float32(texture.frequency))
    column = at.along * np.float32(0.6 * texture.frequency) + 0.5 * (row % 2)
    joint = np.minimum((at.across * np.float32(texture.frequency)) % 1, column % 1)
    return _soft_step(4 * (joint - 0.15))


def _chevrons(texture: Texture, at: Place) -> Grid:
    bent = at.along + np.float32(0.35) * np.abs((at.across * 2) % 2 - 1)
    return _soft_step(np.sin(np.pi * np.float32(texture.frequency) * bent))


def _hatching(texture: Texture, at: Place) -> Grid:
    frequency = np.float32(np.pi * texture.frequency)
    return _soft_step(np.maximum(np.sin(frequency * at.along), np.sin(frequency * at.across)) - 0.5)


def _rings(texture: Texture, at: Place) -> Grid:
    off = np.float32(0.5 * np.sin(texture.phase))
    return _soft_step(
        np.sin(np.float32(1.5 * np.pi * texture.frequency) * np.hypot(at.along - off, at.across))
    )


def _soft_step(wave: Grid) -> Grid:
    """0 below and 1 above zero, with an edge that is soft enough not to alias."""
    return np.clip(0.5 + 3 * wave, 0, 1).astype(np.float32)


_PATTERNS: dict[str, Callable[[Texture, Place], Grid]] = {
    "flat": _flat,
    "linear": _linear,
    "clouds": _clouds,
    "speckle": _speckle,
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "radial": _radial,
    "waves": _waves,
    "bricks": _bricks,
    "chevrons": _chevrons,
    "hatching": _hatching,
    "rings": _rings,
}
