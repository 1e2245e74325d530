"""A project with an idea of its own of what an object is: a ring together with what its hole shows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from label_studio_sam2.types import Bitmap, Pixels

from demo_model.scenes import background, finish, random_sprite, scene_rng
from demo_model.shapes import Outline, circle_points
from demo_model.sprites import Pose, Sprite
from demo_model.textures import Style

STYLE = Style("held_out", "plain")


@dataclass(frozen=True)
class RingPicture:
    """`ring` is what there is to see of it, `accepted` what this project calls the object."""

    pixels: Pixels
    ring: Bitmap
    accepted: Bitmap


def ring_picture(seed: int, width: int = 320, height: int = 240) -> RingPicture:
    """A ring, and two other objects that nobody annotates."""
    rng = scene_rng(100_000 + seed, STYLE)
    base = rng.uniform(0, 255, 3)
    canvas = background(rng, STYLE, base, width, height)
    places = rng.permutation([(0.3, 0.3), (1.0, 0.35), (0.55, 0.72)])
    for place in places[1:]:
        canvas.paint(
            random_sprite(rng, STYLE, [base], 1, 0.0), Pose(*place, rng.uniform(0.12, 0.2), rng.uniform(0, 6))
        )
    outer = circle_points(60, 1.0, rng.uniform(0.75, 1.0))
    sprite = random_sprite(rng, STYLE, [base], 2, 0.0)
    ring = Sprite(Outline((outer, outer * rng.uniform(0.4, 0.6))), sprite.texture, 2)
    canvas.paint(ring, Pose(*places[0], rng.uniform(0.16, 0.24), rng.uniform(0, 6)))
    labels = canvas.labels == 2
    outline, _ = cv2.findContours(labels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(labels.shape, np.uint8), outline, -1, 1, -1) > 0
    return RingPicture(finish(rng, canvas.rgb, 0, 3), labels, filled)
