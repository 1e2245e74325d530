"""Average precision, and what else the table needs, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo_model.detector.detect import Found
from demo_model.metrics import Estimate

Flags = NDArray[np.bool_]
_OVERLAP = 0.5
_RESAMPLED = 200  # times that the pictures are drawn again, for a standard error


@dataclass(frozen=True)
class Verdict:
    """How one query fared on one picture."""

    scores: NDArray[
        np.float32
    ]  # (n,) of what was found, the best first, without what is neither right nor wrong
    right: Flags  # (n,)
    overlaps: NDArray[np.float64]  # (n,) IoU with the object that it was found for; 0 where wrong
    wanted: int  # objects that the query is for


def judged(found: Found, wanted: NDArray[np.float64], ignored: NDArray[np.float64]) -> Verdict:
    """Each find goes to the object, of those wanted (k, 4), that it overlaps most and nobody has found yet.

    What overlaps one of those ignored (m, 4) and none of the wanted doesn't count."""
    overlaps = box_ious(found.boxes, wanted)
    with_ignored = box_ious(found.boxes, ignored)
    free = np.ones(len(wanted), bool)
    counted, right, best = [], [], []
    for row, other in zip(overlaps, with_ignored, strict=True):
        chosen = int(np.where(free, row, -1).argmax()) if len(wanted) else -1
        hit = chosen >= 0 and free[chosen] and row[chosen] >= _OVERLAP
        if hit:
            free[chosen] = False
        counted.append(hit or not (other >= _OVERLAP).any())
        right.append(hit)
        best.append(float(row[chosen]) if hit else 0.0)
    kept = np.array(counted, bool)
    return Verdict(found.scores[kept], np.array(right, bool)[kept], np.array(best)[kept], len(wanted))


def box_ious(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """(n, m) of boxes (n, 4) and (m, 4) as left, top, right, bottom."""
    first, second = first.reshape(-1, 4).astype(np.float64), second.reshape(-1, 4).astype(np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


@dataclass(frozen=True)
class Ranking:
    """All that was found for one query, the best first, and how many objects each picture has for it."""

    right: Flags  # (n,)
    picture: NDArray[np.int64]  # (n,)
    wanted: NDArray[np.int64]  # (pictures,)

    @classmethod
    def of(cls, verdicts: list[Verdict]) -> Ranking:
        """From a verdict for each picture."""
        scores = np.concatenate([verdict.scores for verdict in verdicts])
        picture = np.repeat(np.arange(len(verdicts)), [len(verdict.scores) for verdict in verdicts])
        order = np.argsort(-scores, kind="stable")
        right = np.concatenate([verdict.right for verdict in verdicts])
        return cls(right[order], picture[order], np.array([verdict.wanted for verdict in verdicts]))

    def average_precision(self, counts: NDArray[np.int64]) -> float:
        """Area under precision over recall, precision made falling, with each picture taken so many times.

        As in COCO, pictures without the object count too. Nan if nothing was wanted.
        """
        wanted = counts @ self.wanted
        if not wanted:
            return float("nan")
        weights = counts[self.picture]
        hits = weights * self.right
        precision = np.cumsum(hits) / np.maximum(np.cumsum(weights), 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        return float(falling @ hits / wanted)


def mean_precision(by_query: dict[str, list[Verdict]]) -> Estimate:
    """Mean of the queries' average precisions; its standard error from drawing the pictures again, all queries at once.

    by_query: for each query a verdict for each picture, in the same order.
    """
    rankings = [Ranking.of(verdicts) for verdicts in by_query.values()]
    rankings = [ranking for ranking in rankings if ranking.wanted.any()]
    pictures = len(rankings[0].wanted)
    rng = np.random.default_rng(0)
    draws: list[NDArray[np.int64]] = [np.ones(pictures, np.int64)]
    draws += [
        np.bincount(rng.integers(0, pictures, pictures), minlength=pictures).astype(np.int64)
        for _ in range(_RESAMPLED)
    ]
    means = [np.nanmean([ranking.average_precision(counts) for ranking in rankings]) for counts in draws]
    return Estimate(round(float(means[0]), 4), round(float(np.std(means[1:], ddof=1)), 4), pictures)
