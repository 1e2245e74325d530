"""Projects with ideas of their own of what an object is, drawn from a seed: what `fit` is to learn, and what not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from label_studio_sam2.types import Bitmap, Pixels

from tests.fakes.ring_project import ring_picture

WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Taught:
    """A picture, and the masks that its annotators accept, by their label."""

    pixels: Pixels
    accepted: Mapping[str, list[Bitmap]]

    @property
    def masks(self) -> list[Bitmap]:
        return [mask for masks in self.accepted.values() for mask in masks]


def rings(seed: int) -> Taught:
    """A washer together with what its hole shows."""
    picture = ring_picture(seed)
    return Taught(picture.pixels, {"Washer": [picture.accepted]})


def bodies(seed: int) -> Taught:
    """Stained cells of a slide: the whole body, not the nucleus that stands out of it."""
    pixels, cells = _slide(seed)
    return Taught(pixels, {"Cell": [body for body, _ in cells]})


def bodies_and_nuclei(seed: int) -> Taught:
    """Two labels that want different parts of the same cells."""
    pixels, cells = _slide(seed)
    return Taught(pixels, {"Cell": [body for body, _ in cells], "Nucleus": [nucleus for _, nucleus in cells]})


def bodies_by_two_names(seed: int) -> Taught:
    """Two labels that want the same part of two kinds of cells."""
    pixels, cells = _slide(seed)
    return Taught(
        pixels, {"Cell": [body for body, _ in cells[::2]], "Other cell": [body for body, _ in cells[1::2]]}
    )


def weaves(seed: int) -> Taught:
    """Patches of one weave sewn onto another of the same colours: they differ by their threads' direction alone."""
    rng = np.random.default_rng((3, seed))
    colours = np.array([rng.uniform(30, 110, 3), rng.uniform(140, 230, 3)])
    angle = rng.uniform(0, np.pi)
    cloth, patch = (_woven(rng, at, colours) for at in (angle, angle + np.pi / 2))
    masks = []
    for x, y in rng.permutation([(0.25, 0.3), (0.75, 0.3), (0.28, 0.75), (0.75, 0.72)])[:2]:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        at = int(x * WIDTH + rng.integers(-8, 8)), int(y * HEIGHT + rng.integers(-6, 6))
        corners = _blob(rng, at, rng.uniform(30, 46))
        cv2.fillPoly(mask, [corners], 1)
        masks.append(mask > 0)
        cloth[masks[-1]] = patch[masks[-1]]
    return Taught(_grained(rng, cloth, 4), {"Patch": masks})


def _slide(seed: int) -> tuple[Pixels, list[tuple[Bitmap, Bitmap]]]:
    rng = np.random.default_rng((2, seed))
    ground = np.array([236.0, 226.0, 232.0]) + rng.uniform(-8, 8, 3)
    stain = np.array([214.0, 160.0, 190.0]) + rng.uniform(-12, 12, 3)
    dark = np.array([96.0, 52.0, 130.0]) + rng.uniform(-15, 15, 3)
    canvas = np.broadcast_to(ground, (HEIGHT, WIDTH, 3)).copy()
    cells = []
    for x, y in rng.permutation([(0.2, 0.28), (0.52, 0.25), (0.82, 0.32), (0.3, 0.72), (0.7, 0.74)])[:4]:
        at = int(x * WIDTH + rng.integers(-8, 8)), int(y * HEIGHT + rng.integers(-6, 6))
        radius = rng.uniform(26, 36)
        body, nucleus = np.zeros((2, HEIGHT, WIDTH), np.uint8)
        cv2.fillPoly(body, [_blob(rng, at, radius)], 1)
        moved = at[0] + int(rng.integers(-5, 6)), at[1] + int(rng.integers(-5, 6))
        cv2.fillPoly(nucleus, [_blob(rng, moved, radius * rng.uniform(0.4, 0.5))], 1)
        canvas[body > 0], canvas[nucleus > 0] = stain, dark
        cells.append((body > 0, (nucleus & body) > 0))
    return _grained(rng, cv2.GaussianBlur(canvas, (0, 0), 0.8), 5), cells


def _blob(
    rng: np.random.Generator, at: tuple[int, int], radius: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """The corners of something round that no compass drew."""
    turns = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(rng.uniform(0, 0.1) * np.cos(k * turns + rng.uniform(0, 6)) for k in (2, 3, 5))
    ring = radius * (1 + waves)
    return np.stack([at[0] + ring * np.cos(turns), at[1] + ring * np.sin(turns)], 1).round().astype(np.int32)


def _woven(rng: np.random.Generator, angle: float, colours: Pixels) -> Pixels:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    phase = (x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(2.2, 3.2) + rng.uniform(0, 6)
    share = (np.sin(phase) / 2 + 0.5)[..., None]
    woven: Pixels = share * colours[0] + (1 - share) * colours[1]
    return woven


def _grained(rng: np.random.Generator, canvas: Pixels, noise: float) -> Pixels:
    return np.clip(canvas + rng.normal(0, noise, canvas.shape), 0, 255).astype(np.uint8)


PROJECTS: Mapping[str, Callable[[int], Taught]] = {"rings": rings, "bodies": bodies, "weaves": weaves}


LABELLED: Mapping[str, Callable[[int], Taught]] = {
    "different parts": bodies_and_nuclei,
    "the same parts": bodies_by_two_names,
}


def boxes_on_noise(seed: int) -> Taught:
    """Rectangles anywhere on pictures that show nothing."""
    rng = np.random.default_rng((4, seed))
    pixels = rng.integers(0, 255, (64, 96, 3), np.uint8)
    mask = np.zeros((64, 96), np.bool_)
    x, y = int(rng.integers(0, 70)), int(rng.integers(0, 40))
    mask[y : y + int(rng.integers(8, 24)), x : x + int(rng.integers(8, 26))] = True
    return Taught(pixels, {"Thing": [mask]})


def others_masks(seed: int) -> Taught:
    """Each picture with the mask of another."""
    return Taught(rings(seed).pixels, {"Washer": rings(seed + 500).masks})


def contradictory(seed: int) -> Taught:
    """Now the washer with its hole, now the hole alone."""
    picture = ring_picture(seed)
    return Taught(
        picture.pixels, {"Washer": [picture.accepted if seed % 2 else picture.accepted & ~picture.ring]}
    )


SENSELESS: Mapping[str, Callable[[int], Taught]] = {
    "boxes on noise": boxes_on_noise,
    "others' masks": others_masks,
    "contradictory": contradictory,
}
