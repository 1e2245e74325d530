"""A project with an idea of its own of what an object is: a ring together with what its hole shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from label_studio_sam2.types import Bitmap, Pixels

from demo_model.scenes import background, finish, random_sprite, scene_rng
from demo_model.shapes import Outline, circle_points
from demo_model.sprites import Pose, Sprite
from demo_model.textures import Style, random_texture

STYLE = Style("held_out", "plain")


@dataclass(frozen=True)
class RingPicture:
    """`ring` is what there is to see of it, `accepted` what this project calls the object."""

    pixels: Pixels
    ring: Bitmap
    accepted: Bitmap


def ring_picture(seed: int, width: int = 320, height: int = 240) -> RingPicture:
    """A washer on a bench, and something else that nobody annotates: as in any project, its pictures are of a kind."""
    rng = scene_rng(100_000 + seed, STYLE)
    bench = np.array([60.0, 75.0, 95.0]) + rng.uniform(-8, 8, 3)
    canvas = background(rng, STYLE, bench, width, height)
    places = rng.permutation([(0.3, 0.35), (1.0, 0.4), (0.65, 0.68)])
    other = random_sprite(rng, STYLE, [bench], 1, 0.0)
    canvas.paint(other, Pose(*places[1], rng.uniform(0.1, 0.16), rng.uniform(0, 6)))
    outer = circle_points(60, 1.0, rng.uniform(0.8, 1.0))
    steel = random_texture(rng, STYLE, np.array([190.0, 190.0, 180.0]) + rng.uniform(-20, 20, 3), 20)
    washer = Sprite(Outline((outer, outer * rng.uniform(0.5, 0.68))), steel, 2)
    canvas.paint(washer, Pose(*places[0], rng.uniform(0.16, 0.26), rng.uniform(0, 6)))
    labels = canvas.labels == 2
    outline, _ = cv2.findContours(labels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(labels.shape, np.uint8), outline, -1, 1, -1) > 0
    return RingPicture(finish(rng, canvas.rgb, 0, 3), labels, filled)
