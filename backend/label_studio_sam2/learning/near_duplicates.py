"""Which tasks show the same again: shots of a burst, slices of a volume, a picture that was imported twice.

A model that was trained on one of them isn't measured on another, so they stay on one side of the split.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.types import Pixels

SIDE = 16
"""Cells a side of a thumbnail."""

ALIKE = 0.7
"""The most that any cell of two pictures that are alike differs by, in their standard deviations. Measured: the same a
pixel on, brighter and compressed, 0.4; drawn pictures of one kind, 1.1 and more."""

Thumbnail = NDArray[np.float32]


def thumbnail(pixels: Pixels) -> Thumbnail:
    """(16, 16, 3), in standard deviations from the mean of each channel: exposure is no difference."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    apart = small - small.mean((0, 1))
    seen: Thumbnail = apart / (apart.std() + 1)
    return seen


def joined(shown: Sequence[tuple[int, Thumbnail]]) -> dict[int, int]:
    """For each task the least number of all tasks that show the same as it, directly or by others in between."""
    first = {task: task for task, _ in shown}

    def root(task: int) -> int:
        while first[task] != task:
            task = first[task]
        return task

    stacked = np.array([seen for _, seen in shown], np.float32).reshape(-1, SIDE * SIDE * 3)
    for place, (task, seen) in enumerate(shown):
        near = np.abs(stacked[:place] - seen.reshape(-1)).max(axis=1, initial=0) <= ALIKE
        for other in np.flatnonzero(near):
            one, two = sorted((root(task), root(shown[other][0])))
            first[two] = one
    return {task: root(task) for task in first}
