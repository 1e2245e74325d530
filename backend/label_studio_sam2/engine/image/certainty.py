"""How sure a mask is, from what the decoder says: does a little more or less change it, was something else meant?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.image.decoding import Decoded

OFFSET = 1.0
"""Of the higher and the lower cutoff from 0, in logits (sam2.utils.amg.calculate_stability_score)."""

ANOTHER = 0.8
"""IoU below which two candidates are two readings of a click, and not two versions of one."""


def stability(logits: NDArray[np.float32]) -> float:
    """IoU of the mask above the higher cutoff with that above the lower one; 0 where nothing is."""
    wider = np.count_nonzero(logits > -OFFSET)
    return np.count_nonzero(logits > OFFSET) / wider if wider else 0.0


def lead(decoded: Decoded) -> float:
    """By how much the best candidate is rated above the best one that is another reading; 1 where there is none."""
    first = decoded.logits[0] > 0
    for logits, score in zip(decoded.logits[1:], decoded.scores[1:], strict=True):
        other = logits > 0
        either = np.count_nonzero(first | other)
        if np.count_nonzero(first & other) < ANOTHER * either:
            return float(decoded.scores[0] - score)
    return 1.0
