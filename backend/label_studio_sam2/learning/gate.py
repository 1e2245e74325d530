"""Whether a tuned version may answer clicks: better on what it has never seen, and no worse in general."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.tuning.measuring import IoUs
from label_studio_sam2.engine.tuning.version import Verdict

LEAST_GAIN = 0.01
MOST_LOSS = 0.01
"""In IoU: what isn't worth a new version, and what generality may cost."""

T_QUANTILES = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""Student's t, 97.5%, for 1 to 10 degrees of freedom: few tasks make an unsure standard error. Beyond them, 2.2."""


class Change(NamedTuple):
    """The mean of paired differences, and how large one may be by chance (95%)."""

    gain: float
    noise: float

    @classmethod
    def of(cls, differences: NDArray[np.float64], groups: Sequence[str]) -> Change:
        """Of (N,) differences; those of one group (task) count as one, for they aren't independent."""
        names = np.array(groups)
        means = np.array([differences[names == name].mean() for name in dict.fromkeys(groups)])
        if len(means) < 2:
            return cls(float(means.mean()), float("inf"))
        error = float(means.std(ddof=1)) / np.sqrt(len(means))
        return cls(float(means.mean()), T_QUANTILES[min(len(means) - 1, len(T_QUANTILES)) - 1] * error)


def judge(kinds: Sequence[str], groups: Sequence[str], before: IoUs, after: IoUs, lost: float) -> Verdict:
    """Held-out IoUs of what is in use and of the new version, and what the new one lost on generic scenes."""
    differences = after - before
    overall = Change.of(differences.mean(axis=1), groups)
    worse = [
        kind
        for column, kind in enumerate(kinds)
        if (change := Change.of(differences[:, column], groups)).gain < -max(change.noise, LEAST_GAIN)
    ]
    figures = {
        "held_out": {
            kind: {
                "before": round(float(before[:, n].mean()), 4),
                "after": round(float(after[:, n].mean()), 4),
            }
            for n, kind in enumerate(kinds)
        },
        "gain": round(overall.gain, 4),
        "noise": round(overall.noise, 4) if np.isfinite(overall.noise) else None,
        "generic_loss": round(lost, 4),
    }
    if lost > MOST_LOSS:
        reason = f"Not used: on generic scenes it loses {lost:.3f} of IoU, and {MOST_LOSS} is allowed."
    elif worse:
        reason = f"Not used: it is worse with {' and '.join(worse)} on held-out tasks."
    elif overall.gain < LEAST_GAIN or overall.gain <= overall.noise:
        reason = (
            f"Not used: held-out IoU changes by {overall.gain:+.3f}, which may be chance (±{overall.noise:.3f}). "
            "More accepted masks help, and masks that agree with each other."
        )
    else:
        return Verdict(
            True, f"Used: held-out IoU rises by {overall.gain:.3f} (±{overall.noise:.3f}).", figures
        )
    return Verdict(False, reason, figures)
