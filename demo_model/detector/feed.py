"""Batches of drawn pictures. Drawing takes longer than training can wait, so each is seen a few times, turned and
mirrored; no name changes by that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from demo_model.detector.network import SIDE
from demo_model.detector.scenes import Level, draw_scene, fitted
from demo_model.detector.vocabulary import Thing
from demo_model.textures import Pixels

_POOL = 300
_SHARE_DRAWN = 0.25  # of a batch's pictures that are new in the pool


@dataclass
class Feed:
    """An endless pool of pictures; where it begins depends on the seed alone."""

    seed: int
    shares: dict[Level, float]  # of the pictures of each level; they may be changed on the way
    _pool: list[tuple[Pixels, Pixels, list[Thing]]] = field(default_factory=list)

    def batch(self, size: int) -> tuple[Pixels, Pixels, list[list[Thing]]]:
        """Pictures (size, side, side, 3), their labels (size, side, side) and what is in each."""
        rng = np.random.default_rng((5, self.seed))
        wanted = max(round(_SHARE_DRAWN * size), 1)
        for _ in range(wanted if len(self._pool) >= 2 * size else 2 * size):
            self._pool.append(self._draw())
        del self._pool[:-_POOL]
        chosen = [self._pool[int(number)] for number in rng.choice(len(self._pool), size, replace=False)]
        turned = [_turned(rng, image, labels) for image, labels, _ in chosen]
        images, labels = zip(*turned, strict=True)
        return np.stack(images), np.stack(labels), [things for _, _, things in chosen]

    def _draw(self) -> tuple[Pixels, Pixels, list[Thing]]:
        self.seed += 1
        rng = np.random.default_rng((6, self.seed))
        short = SIDE if rng.random() < 0.4 else int(SIDE / rng.uniform(1, 1.6))
        width, height = (SIDE, short) if rng.random() < 0.7 else (short, SIDE)
        level = list(self.shares)[int(rng.choice(len(self.shares), p=list(self.shares.values())))]
        scene = draw_scene(self.seed, split="training", width=width, height=height, level=level)
        return (*fitted(scene, SIDE), list(scene.things))


def _turned(rng: np.random.Generator, image: Pixels, labels: Pixels) -> tuple[Pixels, Pixels]:
    """One of the eight ways to lay a square. The black margin goes with it."""
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    return (image[:, ::-1], labels[:, ::-1]) if mirrored else (image, labels)
