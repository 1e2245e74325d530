"""Outlines of drawn objects, in their own coordinates.

An outline lives in a square of side 2 around the origin (x right, y down) and reaches about distance 1 from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Difficulty: TypeAlias = Literal["plain", "hard"]
Points: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Outline:
    """Closed curves, each (n, 2) points as x, y; filled by the even-odd rule, so an inner curve is a hole."""

    curves: tuple[Points, ...]


def random_outline(rng: np.random.Generator, difficulty: Difficulty) -> Outline:
    """A shape of a kind that belongs to the difficulty: compact ones for plain, thin and concave ones too for hard."""
    kinds = _PLAIN_KINDS if difficulty == "plain" else _HARD_KINDS
    return kinds[int(rng.integers(len(kinds)))](rng)


def circle_points(count: int, radius_x: float = 1.0, radius_y: float = 1.0) -> Points:
    """`count` points on an ellipse, as (count, 2) x, y."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], axis=1)


def _ellipse(rng: np.random.Generator) -> Outline:
    return Outline((circle_points(40, 1.0, rng.uniform(0.55, 1.0)),))


def _rectangle(rng: np.random.Generator) -> Outline:
    """A rectangle whose corners are rounded between not at all and nearly to an ellipse (a superellipse)."""
    power = rng.uniform(0.05, 0.7)
    unit = circle_points(64)
    corners = np.sign(unit) * np.abs(unit) ** power
    return Outline((corners * np.array([0.8, 0.8 * rng.uniform(0.5, 1.0)]),))


def _polygon(rng: np.random.Generator) -> Outline:
    count = int(rng.integers(3, 8))
    angles = (np.arange(count) + rng.uniform(-0.25, 0.25, count)) * 2 * np.pi / count
    radii = rng.uniform(0.8, 1.0, count)
    return Outline((np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1),))


def _star(rng: np.random.Generator) -> Outline:
    spikes = int(rng.integers(4, 8))
    points = circle_points(2 * spikes)
    points[1::2] *= rng.uniform(0.45, 0.7)
    return Outline((points,))


def blob(rng: np.random.Generator) -> Outline:
    """A circle whose radius swings with a few low frequencies."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    radius = np.ones_like(angles)
    for frequency in range(2, 6):
        radius += rng.uniform(0, 0.5 / frequency) * np.cos(frequency * angles + rng.uniform(0, 2 * np.pi))
    radius /= radius.max()
    return Outline((np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1),))


def _ring(rng: np.random.Generator) -> Outline:
    outer = blob(rng).curves[0] if rng.random() < 0.3 else circle_points(40, 1.0, rng.uniform(0.75, 1.0))
    return Outline((outer, outer * rng.uniform(0.35, 0.6)))


def crescent(rng: np.random.Generator) -> Outline:
    """A sickle, open to the right."""
    bite, half = rng.uniform(0.3, 0.6), np.linspace(-0.75 * np.pi, 0.75 * np.pi, 40)
    outer = np.stack([np.cos(half + np.pi), np.sin(half + np.pi)], axis=1)
    inner = outer[::-1] * np.array([bite, 0.8]) + np.array([0.12, 0.0])
    return Outline((np.concatenate([outer, inner]),))


def cross(rng: np.random.Generator) -> Outline:
    """A plus sign."""
    arm, wide = rng.uniform(0.3, 0.45), rng.uniform(0.3, 0.45)
    quarter = np.array([[1.0, -arm], [1.0, arm], [wide, arm]])
    turns = [quarter]
    for _ in range(3):
        turns.append(turns[-1] @ np.array([[0.0, 1.0], [-1.0, 0.0]]))
    return Outline((np.concatenate(turns) * 0.95,))


def corner(rng: np.random.Generator) -> Outline:
    """An L whose arms are of the same length."""
    thick = rng.uniform(0.45, 0.8)
    points = np.array([[-0.8, -0.8], [0.8, -0.8], [0.8, thick - 0.8], [thick - 0.8, thick - 0.8],
                       [thick - 0.8, 0.8], [-0.8, 0.8]])  # fmt: skip
    return Outline((points,))


def bar(rng: np.random.Generator) -> Outline:
    """A long thin rectangle."""
    half = rng.uniform(0.1, 0.2)
    return Outline((np.array([[-1.0, -half], [1.0, -half], [1.0, half], [-1.0, half]]),))


def snake(rng: np.random.Generator) -> Outline:
    """A winding strip of even width."""
    x = np.linspace(-0.95, 0.95, 40)
    swing, frequency, phase = rng.uniform(0.2, 0.5), rng.uniform(2, 5), rng.uniform(0, 2 * np.pi)
    centre = np.stack([x, swing * np.sin(frequency * x + phase)], axis=1)
    along = np.gradient(centre, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    offset = normal * rng.uniform(0.09, 0.18)
    return Outline((np.concatenate([centre + offset, (centre - offset)[::-1]]),))


def arc(rng: np.random.Generator) -> Outline:
    """A part of a thin ring."""
    angles = np.linspace(0, rng.uniform(1.0, 1.7) * np.pi, 40)
    outer = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Outline((np.concatenate([outer, outer[::-1] * rng.uniform(0.55, 0.75)]),))


_Kind: TypeAlias = Callable[[np.random.Generator], Outline]
_PLAIN_KINDS: tuple[_Kind, ...] = (
    _ellipse, _rectangle, _rectangle, _polygon, _polygon, _star, blob, blob, _ring, crescent, cross, corner,
)  # fmt: skip
_HARD_KINDS: tuple[_Kind, ...] = (*_PLAIN_KINDS, bar, snake, arc, blob, crescent)
