"""Generic scenes with the true masks of their objects: what a tuned model must not forget.

Drawn once by `python -m demo_model.generic_scenes`. The set is fixed, so that versions can be compared. No object
has a hole: whether it belongs to the object is what projects differ in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from label_studio_sam2.types import Bitmap, Pixels

FILE = Path(__file__).parent / "scenes.npz"

Part = Literal["rehearsal", "choosing", "judging"]

PARTS: Mapping[Part, range] = {"rehearsal": range(32), "choosing": range(32, 56), "judging": range(56, 80)}
"""What tuning rehearses, by what is chosen how far it goes, and by what it is judged: no scene has two parts."""


class Scene(NamedTuple):
    """A picture by its digest, and the mask of each object."""

    digest: str
    pixels: Pixels
    masks: list[Bitmap]


def scenes(part: Part) -> Iterator[Scene]:
    with np.load(FILE, allow_pickle=False) as stored:
        digest = str(stored["digest"])
        for number in PARTS[part]:
            picture = cv2.imdecode(stored[f"picture{number}"], cv2.IMREAD_COLOR)
            labels = cv2.imdecode(stored[f"labels{number}"], cv2.IMREAD_GRAYSCALE)
            assert picture is not None
            assert labels is not None
            masks = [labels == label for label in range(1, int(labels.max()) + 1) if (labels == label).any()]
            rgb: Pixels = np.ascontiguousarray(picture[..., ::-1], np.uint8)
            yield Scene(f"scene-{digest}-{number}", rgb, masks)
