"""Which keyframes a track of boxes needs, where the editor interpolates linearly between them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 1.0
"""Pixels that an interpolated edge may be off."""

FIRST_WINDOW = 16
"""Rows looked ahead at first; doubled while the line could still go on."""


def needed(
    edges: NDArray[np.float64], forced: Collection[int] = (), tolerance: float = TOLERANCE
) -> list[int]:
    """The rows to keep of `edges` (N, 4): one row a frame, x0, y0, x1, y1 in pixels.

    Linear interpolation between kept rows stays within `tolerance` of each row. First, last and `forced` rows are
    kept. From each kept row it goes on to the farthest row that the line can reach.
    """
    kept = [0] if len(edges) else []
    stops = sorted({*forced, len(edges) - 1} - {0, -1})
    for stop in stops:
        while kept[-1] < stop:
            kept.append(_farthest(edges, kept[-1], stop, tolerance))
    return kept


def _farthest(edges: NDArray[np.float64], start: int, stop: int, tolerance: float) -> int:
    """The last row up to `stop` to which a line from `start` passes all rows between within the tolerance."""
    window = FIRST_WINDOW
    while True:
        end = min(start + window, stop)
        ahead = np.arange(1, end - start + 1)[:, None]
        rise = edges[start + 1 : end + 1] - edges[start]
        lowest = np.maximum.accumulate((rise - tolerance) / ahead)
        highest = np.minimum.accumulate((rise + tolerance) / ahead)
        if end == stop or (lowest[-1] > highest[-1]).any():
            break
        window *= 2
    slope = rise / ahead
    # A row's own bounds never rule it out: it is on its own line.
    reached = ((slope >= lowest) & (slope <= highest)).all(axis=1)
    return start + 1 + int(np.flatnonzero(reached)[-1])
