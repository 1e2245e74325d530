"""A project's versions as a curve: the IoU of one click on held-out tasks, version by version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 640, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 14, 34
STEP = 0.1
"""Of IoU between two lines of the grid."""


class Mark(NamedTuple):
    """A version by its number: the IoU of one click before it and with it, and whether it went into use."""

    number: int
    before: float
    after: float
    used: bool


def svg(marks: Sequence[Mark]) -> str:
    """A picture of its own that takes its colours from the page; nothing for fewer than two versions."""
    if len(marks) < 2:
        return ""
    values = [value for mark in marks for value in (mark.before, mark.after)]
    low, high = max(0.0, min(values) // STEP * STEP), min(1.0, (max(values) // STEP + 1) * STEP)
    across = (WIDTH - LEFT - RIGHT) / (len(marks) - 1)

    def x(place: int) -> float:
        return LEFT + across * place

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    lines = (low + STEP * n for n in range(round((high - low) / STEP) + 1))
    grid = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{at:.1f}</text>'
        for at in lines
    )
    path = " ".join(f"{x(place):.1f},{y(mark.after):.1f}" for place, mark in enumerate(marks))
    every = -(-len(marks) // 12)
    dots = "".join(
        f'<circle class="{"used" if mark.used else "refused"}" cx="{x(place):.1f}" cy="{y(mark.after):.1f}" r="5">'
        f"<title>Version {mark.number}: {mark.before:.3f} before, {mark.after:.3f} with it, "
        f"{'used' if mark.used else 'not used'}</title></circle>"
        + (
            f'<text x="{x(place):.1f}" y="{HEIGHT - 12}" text-anchor="middle">v{mark.number}</text>'
            if place % every == 0
            else ""
        )
        for place, mark in enumerate(marks)
    )
    said = f"IoU of one click on held-out tasks, version {marks[0].number} to {marks[-1].number}"
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">'
        f'{grid}<polyline points="{path}"/>{dots}</svg>'
    )
