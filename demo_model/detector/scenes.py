"""Pictures of objects that have a shape's and a colour's name, drawn from a seed.

    scene = draw_scene(7, width=512, height=384)
    scene.image          # (384, 512, 3) uint8, RGB
    scene.masks          # (objects, 384, 512) bool, what is visible of each
    scene.things[0]      # Thing(shape="ring", colour="blue", ...)

The splits share neither seeds nor surfaces, as with `demo_model.scenes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np

from demo_model.detector.colours import CORES, RGB, name_of, names_in_reach
from demo_model.detector.named_shapes import OUTLINES, nameless
from demo_model.detector.vocabulary import Thing
from demo_model.scenes import LEAST_AREA, Look, Masks, arrange, background, finish, separate, strokes
from demo_model.sprites import Sprite
from demo_model.textures import Pixels, Split, Style, random_texture

_SALT = {"training": 11, "held_out": 12}
Level: TypeAlias = Literal["simple", "usual", "crowded"]
LOOKS: dict[Level, Look] = {
    # Darker than a pale background, smooth, apart: what an outline looks like is soonest learnt from these.
    "simple": Look((5, 9), (0.1, 0.22), 0.95, (0, 12), (0, 12), 30, 0.0, 2, 2, 0),
    "usual": Look((2, 8), (0.09, 0.24), 0.8, (0, 30), (0, 40), 30, 0.4, 6, 4, 3),
    "crowded": Look((6, 14), (0.07, 0.15), 0.85, (0, 30), (0, 40), 30, 0.4, 6, 4, 2),
}
_PATTERNED_SHARE = 0.1  # of the objects; they have no colour's name
_NAMELESS_SHARE = 0.05
_BRIGHTNESS = np.array([0.3, 0.59, 0.11])
_FAR_FROM_BACKGROUND = 55  # of the two colours, 0 to 255 a channel, as a length
_LEAST_VISIBLE = 0.35  # of an object's pixels; what shows less is nobody's object


@dataclass(frozen=True)
class Scene:
    """A drawn picture and its truth."""

    image: Pixels  # (H, W, 3) RGB
    labels: Pixels  # (H, W): 0 for background, k + 1 for things[k]
    things: tuple[Thing, ...]

    @property
    def masks(self) -> Masks:
        """(objects, H, W): the visible pixels of each object."""
        return separate(self.labels, len(self.things))


@dataclass(frozen=True)
class Surroundings:
    """What a picture has in common."""

    level: Level
    style: Style
    background: RGB
    shadow: float  # how dark shadows are, 0 to 1


def draw_scene(
    seed: int, *, split: Split = "held_out", width: int = 512, height: int = 384, level: Level = "usual"
) -> Scene:
    """The picture of a seed; those that aren't usual are there to learn from."""
    rng = np.random.default_rng((_SALT[split], seed))
    look, style = LOOKS[level], Style(split, "plain")
    base = _background_colour(rng, level)
    canvas = background(rng, style, base, width, height)
    strokes(rng, canvas, int(rng.integers(look.litter + 1)))
    shadow = rng.uniform(0.1, 0.5) if rng.random() < look.shadow else 0.0
    surroundings = Surroundings(level, style, base, shadow)
    aspect = (width / min(width, height), height / min(width, height))
    things, areas = [], []
    for label, pose in enumerate(arrange(rng, look, aspect), start=1):
        sprite, thing = _random_object(rng, surroundings, label)
        canvas.paint(sprite, pose)
        things.append(thing)
        areas.append(np.count_nonzero(canvas.labels == label))
    image = finish(rng, canvas.rgb, rng.uniform(0, look.blur), rng.uniform(0, look.noise))
    return _visible(image, canvas.labels, things, areas)


def _random_object(rng: np.random.Generator, surroundings: Surroundings, label: int) -> tuple[Sprite, Thing]:
    """An object and what it is called."""
    shape = None if rng.random() < _NAMELESS_SHARE else list(OUTLINES)[int(rng.integers(len(OUTLINES)))]
    outline = OUTLINES[shape](rng) if shape else nameless(rng)
    maybe_shapes = frozenset() if shape else frozenset({"hexagon", "blob"})
    level, style, shadow = surroundings.level, surroundings.style, surroundings.shadow
    colour = _standing_out(rng, surroundings.background, darker=level == "simple")
    if level != "simple" and rng.random() < _PATTERNED_SHARE:
        texture = random_texture(rng, Style(style.split, "hard"), colour, 110)
        return Sprite(outline, texture, label, shadow), Thing(shape, None, frozenset(CORES), maybe_shapes)
    texture = random_texture(rng, style, colour, rng.uniform(*LOOKS[level].contrast))
    return Sprite(outline, texture, label, shadow), _named(shape, texture.colours, maybe_shapes)


def _named(shape: str | None, colours: tuple[RGB, RGB], maybe_shapes: frozenset[str]) -> Thing:
    """A thing called by its first colour's name; by none if its second has another."""
    reach = names_in_reach(colours[0]) | names_in_reach(colours[1])
    names = {name_of(colours[0]), name_of(colours[1])} - {None}
    return Thing(shape, names.pop() if len(names) == 1 else None, reach, maybe_shapes)


def _background_colour(rng: np.random.Generator, level: Level) -> RGB:
    """Light and pale in simple pictures and half of the others, otherwise anything."""
    pale = level == "simple" or rng.random() < 0.5
    return rng.uniform(190, 245) + rng.uniform(-18, 18, 3) if pale else rng.uniform(0, 255, 3)


def _standing_out(rng: np.random.Generator, base: RGB, darker: bool) -> RGB:
    """A colour of some name that is far from the background's (and darker, if so wished), or the farthest of ten."""
    names = list(CORES)
    best, farthest = base, 0.0
    for _ in range(10):
        colour = CORES[names[int(rng.integers(len(names)))]].draw(rng)
        away = float((base - colour) @ _BRIGHTNESS) if darker else float(np.linalg.norm(colour - base))
        if away >= farthest:
            best, farthest = colour, away
        if away >= _FAR_FROM_BACKGROUND:
            return colour
    return best


def _visible(image: Pixels, labels: Pixels, things: list[Thing], areas: list[int]) -> Scene:
    """The scene without the objects that hardly show; their numbers close up."""
    seen = np.bincount(labels.ravel(), minlength=len(things) + 1)[1:]
    kept = [
        number
        for number, (pixels, whole) in enumerate(zip(seen, areas, strict=True))
        if pixels >= max(LEAST_AREA * labels.size, _LEAST_VISIBLE * whole)
    ]
    numbers = np.zeros(256, np.uint8)
    numbers[[number + 1 for number in kept]] = np.arange(1, len(kept) + 1)
    return Scene(image, numbers[labels], tuple(things[number] for number in kept))


def fitted(scene: Scene, side: int) -> tuple[Pixels, Pixels]:
    """Picture and labels at the upper left of a black square, as the detector's processor pads them."""
    image, labels = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    height, width = scene.labels.shape
    image[:height, :width], labels[:height, :width] = scene.image, scene.labels
    return image, labels


def show(scene: Scene) -> Pixels:
    """The picture with each thing's name written on it."""
    shown = scene.image.copy()
    for mask, thing in zip(scene.masks, scene.things, strict=True):
        rows, columns = np.nonzero(mask)
        place = (int(columns.min()), int(rows.mean()))
        cv2.putText(shown, f"{thing.colour} {thing.shape}", place, 0, 0.4, (0, 0, 0), 2)
        cv2.putText(shown, f"{thing.colour} {thing.shape}", place, 0, 0.4, (255, 255, 255), 1)
    return shown
