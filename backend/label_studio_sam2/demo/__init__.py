"""The demo model's files and the true masks of its samples.

The demo model is for trying out and testing. It was trained on drawn scenes only and does not segment photos.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

_FOLDER = Path(__file__).parent

CHECKPOINT = _FOLDER / "demo.safetensors"
CONFIG = _FOLDER / "demo.yaml"
SAMPLE_IMAGE = _FOLDER / "sample.jpg"
SAMPLE_CLIP = _FOLDER / "sample.mp4"


@dataclass(frozen=True)
class SamplePrompt:
    """Prompts for one object of the sample picture, in its pixels (x, y)."""

    name: str
    object: int  # index into `sample_masks()`
    click: tuple[int, int]  # inside
    outside: tuple[int, int]  # near it but not part of it: a hole, or its neighbour
    box: tuple[int, int, int, int]  # left, top, right, bottom


def sample_masks() -> NDArray[np.bool_]:
    """The true masks of the sample picture's objects, (objects, 960, 1280)."""
    labels = cv2.imread(str(_FOLDER / "sample_masks.png"), cv2.IMREAD_GRAYSCALE)
    assert labels is not None
    numbers = np.arange(1, int(labels.max()) + 1, dtype=np.uint8)
    masks: NDArray[np.bool_] = labels[None] == numbers[:, None, None]
    return masks


def sample_clip_masks() -> NDArray[np.bool_]:
    """The true masks of the sample clip, (48 frames, objects, 480, 640); an object out of sight has an empty one."""
    with np.load(_FOLDER / "sample_clip_masks.npz", allow_pickle=False) as stored:
        shape = tuple(stored["shape"].tolist())
        bits = np.unpackbits(stored["bits"], count=int(np.prod(shape)))
    return bits.astype(np.bool_).reshape(shape)


def sample_prompts() -> list[SamplePrompt]:
    """Prompts for the sample picture."""
    rows = json.loads((_FOLDER / "sample_prompts.json").read_text())
    return [
        SamplePrompt(
            row["name"], row["object"] - 1, tuple(row["click"]), tuple(row["outside"]), tuple(row["box"])
        )
        for row in rows
    ]
