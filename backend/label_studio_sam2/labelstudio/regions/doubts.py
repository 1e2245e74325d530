"""What a reviewer should look at first: masks of pictures that are unsure, and frames of a track on which it may have
gone astray, in a sentence for the region's Info panel.

The measures were chosen on drawn scenes and clips (`benchmarks/look_at.py` says what they reach).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

from label_studio_sam2.geometry import tight_box
from label_studio_sam2.types import CLEAR_LEAD, FrameMask, Mask

UNSTABLE = 0.75
UNCLEAR = CLEAR_LEAD / 2

DOUBTFUL = 0.25
"""Of a frame's doubt, from which on it is to be looked at."""

HISTORY = 8
"""Frames on which the object was visible that a frame's area is compared with."""

JUMP_WEIGHT, LEAP_WEIGHT = 0.2, 0.1

MOST_SAID = 8
"""Spans of frames in the sentence; all stand in the list."""

LOOK_AT = "look_at"
"""The key of the list in a region's meta, and of the flag in a keyframe."""


def of_mask(mask: Mask) -> str:
    """Empty where there is nothing to be said."""
    if mask.lead < UNCLEAR:
        return (
            f"look whether this was meant: another reading of the click is rated only {mask.lead:.2f} lower"
        )
    if mask.stability < UNSTABLE:
        return f"look at its edge: it is unsure (stability {mask.stability:.2f})"
    return ""


class Signals(NamedTuple):
    """What tells whether an object was lost on a frame: the probability that it is visible, what the network thinks of
    the mask, the mask's area, its centre and its diagonal in pixels; an area of 0 where it isn't visible."""

    score: float
    iou: float
    area: int = 0
    x: float = 0.0
    y: float = 0.0
    diagonal: float = 0.0

    @classmethod
    def of(cls, mask: FrameMask) -> Signals:
        box = tight_box(mask.bitmap) if mask.present else None
        if box is None:
            return cls(mask.score, mask.iou)
        width, height = box.x1 - box.x0, box.y1 - box.y0
        area = int(mask.bitmap.sum())
        return cls(
            mask.score, mask.iou, area, box.x0 + width / 2, box.y0 + height / 2, math.hypot(width, height)
        )


def doubts(signals: Mapping[int, Signals]) -> dict[int, float]:
    """By frame, the larger the sooner it is to be looked at: the object score is undecided, the predicted IoU falls,
    the area jumps or the centre leaps. Frames are taken in their order, whichever way they were tracked."""
    found: dict[int, float] = {}
    past: list[Signals] = []
    for frame, here in sorted(signals.items()):
        doubt = 1 - abs(2 * here.score - 1)
        if here.area:
            doubt += max(0.0, 1 - here.iou)
            if past:
                doubt += JUMP_WEIGHT * abs(math.log(here.area / median(one.area for one in past)))
                leap = math.hypot(here.x - past[-1].x, here.y - past[-1].y)
                doubt += LEAP_WEIGHT * leap / max(1.0, past[-1].diagonal)
            past = [*past[1 - HISTORY :], here]
        found[frame] = doubt
    return found


def doubtful(signals: Mapping[int, Signals]) -> list[int]:
    """The frames to look at."""
    return [frame for frame, doubt in doubts(signals).items() if doubt >= DOUBTFUL]


def trust(signals: Mapping[int, Signals]) -> float | None:
    """In the whole track, from 0 to 1; None where there is none."""
    return 1 - fmean(min(1.0, doubt) for doubt in doubts(signals).values()) if signals else None


def spans(numbers: Iterable[int]) -> list[list[int]]:
    """Rising numbers as the first and the last of each that follow upon each other."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def sentence(found: Sequence[Sequence[int]], say: str = "look at") -> str:
    """`look at 112-118, 240`; empty where there are none."""
    said = [f"{first}-{last}" if last > first else f"{first}" for first, last in found[:MOST_SAID]]
    more = len(found) - len(said)
    return f"{say} {', '.join(said)}{f' and {more} more' if more else ''}" if said else ""


def listed(meta: Any) -> set[int]:
    """The editor's frames that a region's meta lists; none for what is no list of ours."""
    found = meta.get(LOOK_AT) if isinstance(meta, Mapping) else None
    pairs = (
        [pair for pair in found if isinstance(pair, list) and len(pair) == 2]
        if isinstance(found, list)
        else []
    )
    whole = [(a, b) for a, b in pairs if type(a) is int and type(b) is int and 0 < a <= b < a + MOST_LISTED]
    return {number for first, last in whole for number in range(first, last + 1)}


MOST_LISTED = 2_000_000
"""Frames of a span: a day at 24 frames a second."""
