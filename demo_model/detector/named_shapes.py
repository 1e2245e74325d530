"""Outlines that have a name, each clearly what it is called: an oval is no circle, a rectangle no square."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from demo_model.shapes import Outline, arc, bar, blob, circle_points, corner, crescent, cross, snake

_Draw: TypeAlias = Callable[[np.random.Generator], Outline]


def _circle(_rng: np.random.Generator) -> Outline:
    return Outline((circle_points(48),))


def _oval(rng: np.random.Generator) -> Outline:
    return Outline((circle_points(48, 1.0, rng.uniform(0.48, 0.78)),))


def _rounded(rng: np.random.Generator, height: float, roundest: float) -> Outline:
    """A superellipse; the higher its power, the rounder are its corners."""
    unit = circle_points(64)
    corners = np.sign(unit) * np.abs(unit) ** rng.uniform(0.05, roundest)
    return Outline((corners * np.array([0.85, 0.85 * height]),))


def _square(rng: np.random.Generator) -> Outline:
    return _rounded(rng, rng.uniform(0.95, 1.0), 0.3)


def _rectangle(rng: np.random.Generator) -> Outline:
    return _rounded(rng, rng.uniform(0.32, 0.72), 0.4)


def _corners(rng: np.random.Generator, count: int, jitter: float) -> Outline:
    """A polygon that is regular but for jitter, as a share of its steps and its radius."""
    angles = (np.arange(count) + rng.uniform(-jitter, jitter, count)) * 2 * np.pi / count
    radii = rng.uniform(1 - jitter, 1.0, count)
    return Outline((np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1),))


def _triangle(rng: np.random.Generator) -> Outline:
    return _corners(rng, 3, 0.12)


def _hexagon(rng: np.random.Generator) -> Outline:
    return _corners(rng, 6, 0.04)


def _star(rng: np.random.Generator) -> Outline:
    points = circle_points(2 * int(rng.integers(5, 8)))
    points[1::2] *= rng.uniform(0.42, 0.62)
    return Outline((points,))


def _ring(rng: np.random.Generator) -> Outline:
    outer = circle_points(48, 1.0, rng.uniform(0.85, 1.0))
    return Outline((outer, outer * rng.uniform(0.4, 0.65)))


def _blob(rng: np.random.Generator) -> Outline:
    """One that swings far enough to be neither circle nor oval."""
    for _ in range(8):
        outline = blob(rng)
        hull = outline.curves[0]
        if np.hypot(*hull.T).min() < 0.62:
            break
    return outline


def _moon(rng: np.random.Generator) -> Outline:
    """A circle without a second one that lies beside its middle; or the sickle of the other scenes."""
    if rng.random() < 0.5:
        return crescent(rng)
    half, bite = rng.uniform(0.55, 0.75) * np.pi, rng.uniform(0.35, 0.6)
    angles = np.linspace(half, 2 * np.pi - half, 40)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    inner = outer[::-1] * np.array([bite, 1.0])
    inner[:, 0] += outer[0, 0] * (1 - bite)
    return Outline((np.concatenate([outer, inner]),))


def nameless(rng: np.random.Generator) -> Outline:
    """An uneven polygon of five or seven corners, which no word is for."""
    return _corners(rng, int(rng.choice([5, 7])), 0.25)


OUTLINES: Mapping[str, _Draw] = {
    "circle": _circle,
    "oval": _oval,
    "square": _square,
    "rectangle": _rectangle,
    "triangle": _triangle,
    "hexagon": _hexagon,
    "star": _star,
    "ring": _ring,
    "crescent": _moon,
    "cross": cross,
    "blob": _blob,
    "corner": corner,
    "bar": bar,
    "snake": snake,
    "arc": arc,
}
