"""What was written, and what wasn't there to be written, counted, with an example of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Lack(StrEnum):
    """What can be missing; the text stands beside its number in the summary."""

    BROKEN_OFF = "export that breaks off: what came before is written"
    NO_JSON = "files that hold no JSON: passed over"
    NO_ANNOTATION = "tasks without a submitted annotation"
    NO_LABEL = 'regions without a label: written as "object"'

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
    TOO_MANY = "objects beyond the 255 that a palette can tell apart"
    OVERLAP = "frames on which objects overlap: the first has the pixel"

    NO_CONFIG = "tasks that the labeling config can't show"
    OF_A_VIDEO = "regions of videos: `export --format davis` or youtube-vos writes them"
    UNREADABLE = "regions that can't be read: left out"
    UNPLACED = "regions that JSON_MIN doesn't put on a picture of their list: export as JSON"
    NO_PLACE = "regions on pictures that the task's list doesn't have: left out"
    EMPTY = "regions that cover no pixel of their picture: left out"
    UNANSWERED = "clicks and boxes without a mask: what they meant is missing"
    SEVERAL_LABELS = "regions with several labels: written under the first"
    NO_PICTURE = "pictures that aren't at hand"
    NO_SIZE = "pictures without an object, whose size nothing tells: left out (--images fetches them)"
    OTHER_PICTURE = "pictures of another size than they were labelled at: theirs counts"
    CROWD = "crowds, which this format has no place for: left out"
    OVERLAPPING = "pictures on which objects overlap: the smaller has the pixel"
    NO_SIDE = "sides of the split that no picture fell to"


@dataclass
class Report:
    """`masks` that were written, on `pictures`, or on `frames` of `clips`, of which `by_source` count their frames as
    the video's file does."""

    masks: int = 0
    pictures: int = 0
    clips: int = 0
    by_source: int = 0
    frames: int = 0
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

    def drew(self, masks: int) -> None:
        """One more picture."""
        self.pictures += 1
        self.masks += masks
