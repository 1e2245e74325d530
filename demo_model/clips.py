"""Clips drawn from a seed, frame by frame and in any order, with the true mask of every object in every frame.

    clip = Clip(7, width=640, height=480)
    frame = clip.frame(9_999)
    frame.image   # (480, 640, 3) uint8, RGB
    frame.masks   # (clip.objects, 480, 640) bool; an object that is out of sight has an empty one

A clip has no end. Its objects move, turn and change in size; some leave the picture and come back, some pass behind
something that hides them for a few frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo_model.scenes import LOOKS, Masks, finish, random_sprite, scene_rng, separate
from demo_model.shapes import Difficulty, Outline, circle_points
from demo_model.sprites import Canvas, Pose, Sprite
from demo_model.textures import Pixels, Split, Style, random_texture

_CLIP_SALT = 1 << 40  # keeps the seeds of clips apart from those of scenes
_OBJECTS: dict[Difficulty, tuple[int, int]] = {"plain": (2, 4), "hard": (3, 5)}
_RADIUS: dict[Difficulty, tuple[float, float]] = {"plain": (0.11, 0.2), "hard": (0.08, 0.22)}
_SPEED = (0.003, 0.022)  # shorter sides a frame, at most along each axis
_HIDDEN_MARGIN = 1.15  # how much larger than its object a cover is
_FAR = 1.8  # shorter sides between an object and its cover while it is not needed
_NEVER = 1 << 40


@dataclass(frozen=True)
class Frame:
    """One drawn picture of a clip and its truth."""

    image: Pixels  # (H, W, 3) RGB
    labels: Pixels  # (H, W): 0 for background, k + 1 for object k
    objects: int

    @property
    def masks(self) -> Masks:
        """(objects, H, W): the visible pixels of each object, none where it is out of sight."""
        return separate(self.labels, self.objects)


@dataclass(frozen=True)
class Swing:
    """A number that swings around a middle."""

    middle: float
    reach: float
    rate: float  # radians a frame
    phase: float

    def at(self, index: int) -> float:
        """Its value in a frame."""
        return float(self.middle + self.reach * np.sin(self.rate * index + self.phase))


@dataclass(frozen=True)
class Absence:
    """When an object is out of sight: `length` frames from `first`, again every `period`."""

    first: int
    length: int
    period: int
    ramp: int  # frames between being in sight undisturbed and being out of sight

    def distance(self, index: int) -> float:
        """0 while absent, up to 1 a ramp and more before or after."""
        since = (index - self.first) % self.period
        if since < self.length:
            return 0.0
        return min(1.0, min(since - self.length + 1, self.period - since) / self.ramp)

    def is_over(self, index: int) -> bool:
        """Whether the last absence is nearer than the next."""
        since = (index - self.first) % self.period
        return since - self.length < self.period - since


@dataclass(frozen=True)
class Path:
    """How an object moves. With `exits` it leaves to x = exits[0] when absent and returns from x = exits[1]."""

    x: Swing
    y: Swing
    radius: Swing
    angle: float
    spin: float  # radians a frame
    absence: Absence | None
    exits: tuple[float, float] | None = None

    def pose(self, index: int) -> Pose:
        """Where the object is in a frame."""
        x = self.x.at(index)
        if self.absence is not None and self.exits is not None:
            share = self.absence.distance(index)
            x = share * x + (1 - share) * self.exits[int(self.absence.is_over(index))]
        return Pose(x, self.y.at(index), self.radius.at(index), self.angle + self.spin * index)


@dataclass(frozen=True)
class Cover:
    """Something that hides an object while it is absent and is away otherwise."""

    sprite: Sprite
    hidden: Path
    direction: float  # radians, from where it comes

    def pose(self, index: int) -> Pose:
        """Where the cover is in a frame."""
        assert self.hidden.absence is not None
        below = self.hidden.pose(index)
        away = _FAR * self.hidden.absence.distance(index)
        # It passes over the object instead of turning back.
        side = -1 if self.hidden.absence.is_over(index) else 1
        radius = _HIDDEN_MARGIN * below.radius
        x, y = below.x + side * away * np.cos(self.direction), below.y + side * away * np.sin(self.direction)
        return Pose(float(x), float(y), radius, self.direction)


class Clip:
    """An endless drawn clip. Two with the same arguments have the same frames.

    hide: (first frame, frames): the first object is fully hidden then, once, and no object is absent by plan otherwise.
    """

    def __init__(
        self,
        seed: int,
        *,
        difficulty: Difficulty = "plain",
        split: Split = "held_out",
        width: int = 256,
        height: int = 256,
        hide: tuple[int, int] | None = None,
    ) -> None:
        style = Style(split, difficulty)
        rng = scene_rng(_CLIP_SALT + seed, style)
        look = LOOKS[difficulty]
        self._noise_seed = int(rng.integers(1 << 31))
        self._blur, self._noise = rng.uniform(0, look.blur), rng.uniform(0, look.noise)
        self._aspect = (width / min(width, height), height / min(width, height))
        colours = [rng.uniform(0, 255, 3)]
        contrast = rng.uniform(*look.background_contrast)
        surface = random_texture(rng, style, colours[0], contrast).paint(max(width, height))
        self._background = np.ascontiguousarray(surface[:height, :width])
        self.objects = int(rng.integers(_OBJECTS[difficulty][0], _OBJECTS[difficulty][1] + 1))
        shadow = rng.uniform(0.2, 0.6) if rng.random() < look.shadow else 0.0
        self._movers: list[tuple[Sprite, Path]] = []
        self._covers: list[Cover] = []
        for label in range(1, self.objects + 1):
            sprite = random_sprite(rng, style, colours, label, shadow)
            if difficulty == "plain":
                colours.append(sprite.texture.colours[0])
            self._add(rng, sprite, style, hide)
        unit = min(width, height)
        self._patches = [
            sprite.texture.paint(sprite.patch_size(unit * (path.radius.middle + path.radius.reach)))
            for sprite, path in self._movers
        ]

    def frame(self, index: int) -> Frame:
        """Draw a frame. Frames may be asked for in any order, and none depends on another."""
        height, width = self._background.shape[:2]
        canvas = Canvas(self._background.copy(), np.zeros((height, width), np.uint8))
        for (sprite, path), patch in zip(self._movers, self._patches, strict=True):
            canvas.paint(sprite, path.pose(index), patch)
        for cover in self._covers:
            canvas.paint(cover.sprite, cover.pose(index))
        rng = np.random.default_rng((self._noise_seed, index))
        return Frame(finish(rng, canvas.rgb, self._blur, self._noise), canvas.labels, self.objects)

    def _add(
        self, rng: np.random.Generator, sprite: Sprite, style: Style, hide: tuple[int, int] | None
    ) -> None:
        """Give an object its path and what hides it."""
        absence, leaves = _plan_absence(rng), rng.random() < 0.5
        if hide is not None:
            leaves = False
            absence = Absence(*hide, period=_NEVER, ramp=6) if sprite.label == 1 else None
        path = _random_path(rng, style.difficulty, self._aspect, absence, leaves)
        self._movers.append((sprite, path))
        if absence is not None and not leaves:
            self._covers.append(_random_cover(rng, path, style))


def _plan_absence(rng: np.random.Generator) -> Absence | None:
    """Most objects are out of sight for some frames of every few dozen."""
    if rng.random() < 0.25:
        return None
    period = int(rng.integers(22, 36))
    return Absence(int(rng.integers(period)), int(rng.integers(3, 9)), period, ramp=int(rng.integers(5, 9)))


def _random_path(
    rng: np.random.Generator,
    difficulty: Difficulty,
    aspect: tuple[float, float],
    absence: Absence | None,
    leaves: bool,
) -> Path:
    radius = rng.uniform(*_RADIUS[difficulty])
    x, y = (_random_swing(rng, extent, radius) for extent in aspect)
    sides = rng.permutation([-1.4 * radius, aspect[0] + 1.4 * radius])
    exits = (float(sides[0]), float(sides[int(rng.integers(2))])) if leaves else None
    breathing = Swing(
        radius, rng.uniform(0, 0.2) * radius, rng.uniform(0.03, 0.12), rng.uniform(0, 2 * np.pi)
    )
    return Path(x, y, breathing, rng.uniform(0, 2 * np.pi), rng.uniform(-0.08, 0.08), absence, exits)


def _random_swing(rng: np.random.Generator, extent: float, radius: float) -> Swing:
    """A swing that stays inside 0 to extent, mostly with the whole object."""
    middle = rng.uniform(0.2, 0.8) * extent
    reach = rng.uniform(0.1, 1.0) * max(min(middle, extent - middle) - 0.7 * radius, 0.02)
    return Swing(middle, reach, rng.uniform(*_SPEED) / max(reach, 0.1), rng.uniform(0, 2 * np.pi))


def _random_cover(rng: np.random.Generator, hidden: Path, style: Style) -> Cover:
    """A disc or a square around it: both contain the whole object."""
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    outline = Outline((square if rng.random() < 0.5 else circle_points(40),))
    contrast = rng.uniform(*LOOKS[style.difficulty].contrast)
    texture = random_texture(rng, style, rng.uniform(0, 255, 3), contrast)
    return Cover(Sprite(outline, texture, 0), hidden, rng.uniform(0, 2 * np.pi))
