"""What colours are called.

Names have no sharp borders, so each has a core, where everybody would use it, and a reach, where somebody might. What
lies in the reach of a name but not in its core is neither right nor wrong under that name.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.float64]  # (3,), 0 to 255


@dataclass(frozen=True)
class Region:
    """A box of colours: hue in degrees (it may begin below 0), saturation and value from 0 to 1."""

    hue: tuple[float, float]
    saturation: tuple[float, float]
    value: tuple[float, float]

    def holds(self, hue: float, saturation: float, value: float) -> bool:
        """Whether a colour lies in it."""
        return (
            (hue - self.hue[0]) % 360 <= self.hue[1] - self.hue[0]
            and self.saturation[0] <= saturation <= self.saturation[1]
            and self.value[0] <= value <= self.value[1]
        )

    def draw(self, rng: np.random.Generator) -> RGB:
        """A colour of it."""
        hue, saturation, value = (rng.uniform(*span) for span in (self.hue, self.saturation, self.value))
        return 255 * np.array(colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value))


_ANY = (0.0, 360.0)
CORES = {
    "red": Region((-10, 10), (0.6, 1), (0.5, 1)),
    "orange": Region((20, 40), (0.65, 1), (0.75, 1)),
    "yellow": Region((49, 62), (0.5, 1), (0.8, 1)),
    "green": Region((85, 165), (0.4, 1), (0.35, 1)),
    "blue": Region((200, 245), (0.4, 1), (0.45, 1)),
    "purple": Region((262, 295), (0.35, 1), (0.4, 1)),
    "pink": Region((315, 345), (0.3, 0.75), (0.85, 1)),
    "brown": Region((15, 35), (0.5, 0.9), (0.28, 0.55)),
    "black": Region(_ANY, (0, 1), (0, 0.14)),
    "white": Region(_ANY, (0, 0.07), (0.92, 1)),
    "grey": Region(_ANY, (0, 0.08), (0.35, 0.7)),
}
_REACHES = {
    "red": Region((-25, 19), (0.4, 1), (0.25, 1)),
    "orange": Region((11, 49), (0.4, 1), (0.55, 1)),
    "yellow": Region((41, 75), (0.25, 1), (0.55, 1)),
    "green": Region((63, 190), (0.2, 1), (0.14, 1)),
    "blue": Region((175, 262), (0.15, 1), (0.14, 1)),
    "purple": Region((246, 318), (0.15, 1), (0.14, 1)),
    "pink": Region((292, 368), (0.15, 1), (0.55, 1)),
    "brown": Region((0, 48), (0.25, 1), (0.14, 0.86)),
    "black": Region(_ANY, (0, 1), (0, 0.36)),
    "white": Region(_ANY, (0, 0.22), (0.75, 1)),
    "grey": Region(_ANY, (0, 0.4), (0.14, 0.92)),
}


def name_of(colour: RGB) -> str | None:
    """The name whose core an RGB colour lies in."""
    hsv = _hsv(colour)
    return next((name for name, core in CORES.items() if core.holds(*hsv)), None)


def names_in_reach(colour: RGB) -> frozenset[str]:
    """The names that somebody might give an RGB colour, its own among them."""
    hsv = _hsv(colour)
    return frozenset(name for name, reach in _REACHES.items() if reach.holds(*hsv))


def _hsv(colour: RGB) -> tuple[float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*(colour / 255))
    return 360 * hue, saturation, value
