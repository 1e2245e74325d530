"""Figures and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Estimate:
    """A mean over independent pictures or clips and its standard error."""

    mean: float
    error: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Estimate:
        """From one value for each picture or clip."""
        array = np.array(values)
        error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")
        return cls(round(float(array.mean()), 4), round(error, 4), len(array))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


def iou(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 1 where both are empty."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def deepest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel x, y of a mask that is farthest from its edge, the picture's border counted as one."""
    padded = np.pad(mask.astype(np.uint8), 1)
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(padded, cv2.DIST_L2, 5))
    return int(x) - 1, int(y) - 1


def box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a mask, the last two one past its pixels."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def balanced_accuracy(said: list[bool], true: list[bool]) -> float:
    """Mean of the shares judged right among the present and among the absent."""
    verdicts, truth = np.array(said), np.array(true)
    return float((verdicts[truth].mean() + (~verdicts[~truth]).mean()) / 2)
