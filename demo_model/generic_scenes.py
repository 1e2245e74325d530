"""Draws the scenes that ship with the package for `fit` to guard generality with.

python -m demo_model.generic_scenes
"""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
from label_studio_sam2.learning.scenes import FILE
from numpy.typing import NDArray

from demo_model.scenes import draw_scene
from demo_model.shapes import Difficulty
from demo_model.textures import Pixels

FIRST_SEED = 900_000
COUNT = 80
QUALITY = 85


def main() -> None:
    """Plain and hard scenes in turn, as JPEG and PNG."""
    arrays: dict[str, NDArray[Any]] = {"count": np.array(COUNT)}
    digest = hashlib.sha256()
    for number in range(COUNT):
        difficulty: Difficulty = "hard" if number % 2 else "plain"
        scene = draw_scene(FIRST_SEED + number, difficulty=difficulty, width=256, height=192)
        picture = cv2.imencode(".jpg", scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
        labels = cv2.imencode(".png", without_holes(scene.labels))[1]
        arrays |= {f"picture{number}": picture, f"labels{number}": labels}
        digest.update(picture.tobytes())
    arrays["digest"] = np.array(digest.hexdigest()[:16])
    np.savez(FILE, **arrays)  # type: ignore[arg-type]


def without_holes(labels: Pixels) -> Pixels:
    """Label numbers (H, W) without the objects that have a hole: whether what shows in it belongs to the object is
    what projects differ in, so a version must be free to learn it."""
    kept = labels.copy()
    for label in range(1, int(labels.max()) + 1):
        mask = (labels == label).astype(np.uint8)
        _, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        if tree is not None and (tree[0, :, 3] >= 0).any():
            kept[labels == label] = 0
    return kept


if __name__ == "__main__":
    main()
