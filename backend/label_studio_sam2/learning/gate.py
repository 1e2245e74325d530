"""Whether a tuned version may answer clicks: better on what it has never seen, because of what pictures show, and the
same as before elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.tuning.measuring import IoUs
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.labelstudio.config.options import Options

MOST_LOSS = 0.01
"""In IoU, on the drawn scenes of the demo model."""

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

    def sure(self, least: float) -> bool:
        """Whether it is a gain of so much, and no chance."""
        return self.gain >= least and self.gain > self.noise


@dataclass(frozen=True, slots=True)
class Limits:
    """What a project asks of a version: held-out IoU that it gains at least, and how far (IoU) it answers elsewhere as
    the base does."""

    gain: float
    agreement: float

    @classmethod
    def of(cls, options: Options) -> Self:
        return cls(options.fit_gain, options.fit_agreement)


@dataclass(frozen=True)
class Measured:
    """What was measured of a new version.

    `before` and `after`: the IoU of what is in use and of the new version, for each held-out example and kind of
    prompt; `on_others` that of the new one where each is asked on another example's picture, with the columns of
    `asked`. `agreement` is the mean IoU of its answers elsewhere with the base's, `lost` what it loses on drawn scenes;
    None where there was nothing to measure on.
    """

    kinds: Sequence[str]
    groups: Sequence[str]
    before: IoUs
    after: IoUs
    on_others: IoUs
    agreement: float | None
    lost: float | None

    @property
    def gain(self) -> Change:
        return Change.of((self.after - self.before).mean(axis=1), self.groups)

    @property
    def follows(self) -> Change:
        """By how much it is better on the picture that an example is of than on another one, asked with one click."""
        return Change.of((self.after - self.on_others)[:, 0], self.groups)

    def worse(self, least: float) -> list[str]:
        """The kinds of prompt with which it is worse, and not by chance."""
        changes = (Change.of((self.before - self.after)[:, n], self.groups) for n in range(len(self.kinds)))
        return [kind for kind, change in zip(self.kinds, changes, strict=True) if change.sure(least)]

    def figures(self) -> dict[str, Any]:
        """Ready for JSON."""
        rows = zip(self.kinds, self.before.mean(axis=0), self.after.mean(axis=0), strict=True)
        return {
            "held_out": {kind: {"before": _number(was), "after": _number(now)} for kind, was, now in rows},
            "gain": _number(self.gain.gain),
            "noise": _number(self.gain.noise),
            "follows": _number(self.follows.gain),
            "follows_noise": _number(self.follows.noise),
            "agreement": _number(self.agreement),
            "generic_loss": _number(self.lost),
        }


Objection = Callable[[Measured, Limits], str | None]
"""Why a version isn't to be used; None where there is nothing to say."""


def _shows_nothing(measured: Measured, limits: Limits) -> str | None:
    if measured.follows.sure(limits.gain):
        return None
    return (
        "what was accepted doesn't follow what the pictures show: on other tasks' pictures its answers fit as well "
        f"({measured.follows.gain:+.3f} ±{measured.follows.noise:.3f} on their own). Look through the accepted masks."
    )


def _other_elsewhere(measured: Measured, limits: Limits) -> str | None:
    if measured.agreement is None or measured.agreement >= limits.agreement:
        return None
    return (
        f"away from accepted objects its answers agree with the base's to {measured.agreement:.3f} only, and "
        f'{limits.agreement:g} is wanted (model_fit_agreement="{limits.agreement:g}").'
    )


def _forgets_scenes(measured: Measured, _: Limits) -> str | None:
    if measured.lost is None or measured.lost <= MOST_LOSS:
        return None
    return f"on generic scenes it loses {measured.lost:.3f} of IoU, and {MOST_LOSS} is allowed."


def _worse(measured: Measured, limits: Limits) -> str | None:
    kinds = measured.worse(limits.gain)
    return f"it is worse with {' and '.join(kinds)} on held-out tasks." if kinds else None


def _no_gain(measured: Measured, limits: Limits) -> str | None:
    gain = measured.gain
    if gain.sure(limits.gain):
        return None
    if gain.gain > gain.noise:
        return f'held-out IoU rises by {gain.gain:.3f} only (model_fit_gain="{limits.gain:g}").'
    return (
        f"held-out IoU changes by {gain.gain:+.3f}, which may be chance (±{gain.noise:.3f}). "
        "More accepted masks help, and masks that agree with each other."
    )


OBJECTIONS: Sequence[Objection] = (_worse, _no_gain, _shows_nothing, _other_elsewhere, _forgets_scenes)
"""The first counts."""


def judge(measured: Measured, limits: Limits, use: str) -> Verdict:
    """`use` is the command that uses the version whatever is said here."""
    gain = measured.gain
    reason = next(filter(None, (objection(measured, limits) for objection in OBJECTIONS)), None)
    if reason is None:
        agreement = measured.agreement
        elsewhere = (
            "" if agreement is None else f"; elsewhere its answers agree with the base's to {agreement:.3f}"
        )
        said = f"Used: held-out IoU rises by {gain.gain:.3f} (±{gain.noise:.3f}){elsewhere}."
        return Verdict(True, said, measured.figures())
    return Verdict(
        False, f"Not used: {reason} `{use}` uses it all the same: {_cost(measured)}.", measured.figures()
    )


def _cost(measured: Measured) -> str:
    """What using it would bring and take."""
    parts = [f"held-out IoU {measured.gain.gain:+.3f}"]
    if measured.agreement is not None:
        parts.append(f"elsewhere {measured.agreement:.3f} as before")
    if measured.lost is not None:
        parts.append(f"generic scenes {-measured.lost:+.3f}")
    return ", ".join(parts)


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)
