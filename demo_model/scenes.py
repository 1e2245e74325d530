"""Pictures drawn from a seed, with the true mask of every object.

    scene = draw_scene(7, width=800, height=600)
    scene.image   # (600, 800, 3) uint8, RGB
    scene.masks   # (objects, 600, 800) bool, the visible part of each object

A seed and a size give the same picture on every machine with the same OpenCV, and a seed gives the same
arrangement at every size. The two splits share neither seeds nor surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_model.shapes import Difficulty, random_outline
from demo_model.sprites import Canvas, Pose, Sprite
from demo_model.textures import Colour, Pixels, Split, Style, random_texture

Masks: TypeAlias = NDArray[np.bool_]

_SPLIT_SALT: dict[Split, int] = {"training": 1, "held_out": 2}
_DIFFICULTY_SALT: dict[Difficulty, int] = {"plain": 1, "hard": 2}
LEAST_AREA = 0.002  # of the picture; what shows less is scenery, not an object


@dataclass(frozen=True)
class Look:
    """What separates a plain picture from a hard one."""

    objects: tuple[int, int]  # least and most
    radius: tuple[float, float]  # of the shorter side
    apart: float  # least distance of two objects, in sums of their radii
    contrast: tuple[float, float]  # between the two colours of a surface, 0 to 255 a channel
    background_contrast: tuple[float, float]
    colour_distance: float  # least distance of an object's colour to the background's, in Lab
    shadow: float  # share of pictures with shadows
    noise: float  # most standard deviation, 0 to 255
    blur: float  # most standard deviation, in thousandths of the shorter side
    litter: int  # most strokes that belong to no object


LOOKS: dict[Difficulty, Look] = {
    "plain": Look((3, 6), (0.1, 0.24), 0.9, (0, 50), (0, 40), 32, 0.2, 5, 2, 0),
    "hard": Look((4, 8), (0.07, 0.28), 0.35, (20, 120), (10, 80), 16, 0.6, 14, 5, 4),
}


@dataclass(frozen=True)
class Scene:
    """A drawn picture and its truth."""

    image: Pixels  # (H, W, 3) RGB
    labels: Pixels  # (H, W): 0 for background, k + 1 for the object of masks[k]

    @property
    def masks(self) -> Masks:
        """(objects, H, W): the visible pixels of each object. No two overlap, and none is empty."""
        return separate(self.labels, int(self.labels.max()))


def separate(labels: Pixels, objects: int) -> Masks:
    """The mask of each object, (objects, H, W), from object numbers (H, W) that begin at 1."""
    masks: Masks = labels[None] == np.arange(1, objects + 1, dtype=np.uint8)[:, None, None]
    return masks


def draw_scene(
    seed: int,
    *,
    difficulty: Difficulty = "plain",
    split: Split = "held_out",
    width: int = 256,
    height: int = 256,
) -> Scene:
    """Draw the picture of a seed at any size."""
    style = Style(split, difficulty)
    rng = scene_rng(seed, style)
    look = LOOKS[difficulty]
    aspect = (width / min(width, height), height / min(width, height))
    base = rng.uniform(0, 255, 3)
    canvas = background(rng, style, base, width, height)
    strokes(rng, canvas, int(rng.integers(look.litter + 1)))
    shadow = rng.uniform(0.2, 0.6) if rng.random() < look.shadow else 0.0
    for label, pose in enumerate(arrange(rng, look, aspect), start=1):
        canvas.paint(random_sprite(rng, style, [base], label, shadow), pose)
    strokes(rng, canvas, int(rng.integers(look.litter // 2 + 1)))
    image = finish(rng, canvas.rgb, rng.uniform(0, look.blur), rng.uniform(0, look.noise))
    return Scene(image, renumbered(canvas.labels))


def scene_rng(seed: int, style: Style) -> np.random.Generator:
    """The random numbers of a seed; those of the two splits and difficulties have nothing to do with each other."""
    return np.random.default_rng((_SPLIT_SALT[style.split], _DIFFICULTY_SALT[style.difficulty], seed))


def background(rng: np.random.Generator, style: Style, base: Colour, width: int, height: int) -> Canvas:
    """A canvas with nothing on it but a surface around the colour `base`."""
    contrast = rng.uniform(*LOOKS[style.difficulty].background_contrast)
    side = max(width, height)
    surface = random_texture(rng, style, base, contrast).paint(side)
    return Canvas(np.ascontiguousarray(surface[:height, :width]), np.zeros((height, width), np.uint8))


def random_sprite(
    rng: np.random.Generator, style: Style, others: list[Colour], label: int, shadow: float
) -> Sprite:
    """An object whose colour stands out from other colours as far as the difficulty asks."""
    look = LOOKS[style.difficulty]
    colour = contrasting_colour(rng, others, look.colour_distance)
    texture = random_texture(rng, style, colour, rng.uniform(*look.contrast))
    return Sprite(random_outline(rng, style.difficulty), texture, label, shadow)


def contrasting_colour(rng: np.random.Generator, others: list[Colour], distance: float) -> Colour:
    """A random RGB colour at least `distance` (Lab) from each of the others, or the farthest of 20 drawn."""
    colours = rng.uniform(0, 255, (20, 3))
    lab = cv2.cvtColor((np.vstack([*others, colours])[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0]
    away = np.linalg.norm(lab[len(others) :, None] - lab[None, : len(others)], axis=2).min(axis=1)
    passing = np.flatnonzero(away >= distance)
    chosen: Colour = colours[passing[0] if len(passing) else int(away.argmax())]
    return chosen


def finish(rng: np.random.Generator, rgb: Pixels, blur: float, noise: float) -> Pixels:
    """What a camera adds: blur and noise, as standard deviations in thousandths of the shorter side and in levels."""
    sigma = blur * min(rgb.shape[:2]) / 1000
    if sigma > 0.25:
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma).astype(np.uint8)
    grain = rng.standard_normal(rgb.shape, dtype=np.float32)
    return np.clip(rgb + np.float32(noise) * grain, 0, 255).astype(np.uint8)


def arrange(rng: np.random.Generator, look: Look, aspect: tuple[float, float]) -> list[Pose]:
    """Poses that keep the look's distance from each other; fewer than wished where there is no room."""
    poses: list[Pose] = []
    wanted = int(rng.integers(look.objects[0], look.objects[1] + 1))
    for radius in sorted(rng.uniform(*look.radius, wanted), reverse=True):
        for _ in range(12):
            x, y = rng.uniform(0.6 * radius, np.array(aspect) - 0.6 * radius)
            if all(np.hypot(x - p.x, y - p.y) >= look.apart * (radius + p.radius) for p in poses):
                poses.append(Pose(x, y, radius, rng.uniform(0, 2 * np.pi)))
                break
    rng.shuffle(poses)  # type: ignore[arg-type]
    return poses


def strokes(rng: np.random.Generator, canvas: Canvas, count: int) -> None:
    """Thin coloured lines that are nobody's object."""
    height, width = canvas.labels.shape
    for _ in range(count):
        (x1, x2), (y1, y2) = rng.integers(0, width, 2), rng.integers(0, height, 2)
        thickness = max(int(canvas.unit * rng.uniform(0.004, 0.015)), 1)
        colour = tuple(rng.uniform(0, 255, 3).tolist())
        cv2.line(canvas.rgb, (int(x1), int(y1)), (int(x2), int(y2)), colour, thickness, cv2.LINE_AA)
        line = np.zeros_like(canvas.labels)
        cv2.line(line, (int(x1), int(y1)), (int(x2), int(y2)), 1, thickness)
        canvas.labels[line > 0] = 0


def renumbered(labels: Pixels) -> Pixels:
    """Drop what shows too little to be an object and close the gaps in the numbering."""
    areas = np.bincount(labels.ravel(), minlength=1)
    numbers = np.zeros(256, np.uint8)
    kept = [label for label in range(1, len(areas)) if areas[label] >= LEAST_AREA * labels.size]
    numbers[kept] = np.arange(1, len(kept) + 1)
    return numbers[labels]
