"""What was written, and what wasn't there to be written, counted, with an example of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Lack(StrEnum):
    """What can be missing; the text stands beside its number in the summary."""

    BROKEN_OFF = "export that breaks off: what came before is written"
    NO_ANNOTATION = "tasks without a submitted annotation"
    NO_REGIONS = "annotations without a video region"
    UNREADABLE_REGION = "regions whose keyframes can't be read"
    NO_MASKS = "regions without any mask of their own: left out"
    NO_VIDEO = "videos that aren't at hand"
    NOT_TRACKED = "frames that an object's tracking has not reached"
    NO_MASK = "frames that show an object without a mask of its own"
    STALE = "masks whose box was moved since: not used"
    OTHER_SIZE = "masks of another size than the video: not used"
    DAMAGED = "damaged masks: not used"
    NOT_COUNTED = "frames of a video that the editor's framerate steps over"
    LEFT_OUT = "frames left out, because some object's mask is missing there"
    TOO_MANY = "objects beyond the 255 that a DAVIS picture can hold"
    OVERLAP = "frames on which objects overlap: the first has the pixel"


@dataclass
class Report:
    """`clips` and `frames` that were written, with `masks`; `by_source` clips count frames as the video's file does."""

    clips: int = 0
    by_source: int = 0
    frames: int = 0
    masks: int = 0
    lacks: Counter[Lack] = field(default_factory=Counter)
    examples: dict[Lack, str] = field(default_factory=dict)

    def lack(self, kind: Lack, example: str, times: int = 1) -> None:
        if times:
            self.lacks[kind] += times
            self.examples.setdefault(kind, example)

    def wrote(self, *, frames: int, masks: int, by_source: bool) -> None:
        """One more clip."""
        self.clips += 1
        self.by_source += by_source
        self.frames += frames
        self.masks += masks
