"""Words on a video: looked for on its first frame and every few seconds, and what they find is followed both ways.

What is found and no track covers there yet is a new object. It is followed from there to the end, along with those
that are followed already; and in the end back to where it came into sight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.job import Job
from label_studio_sam2.background.tracking_run import Follow, TrackingRun
from label_studio_sam2.clicks.video_plan import Plan
from label_studio_sam2.engine.image.found_object import Cutout
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.engine.video.tracker import Tracker
from label_studio_sam2.engine.words.boxes import ANY_QUESTION
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.geometry import box_iou, tight_box
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.types import Box, FrameMask, Mask

COVERED = 0.5
"""IoU from which what was found is what a track holds already: the one was drawn for a box, the other followed."""


@dataclass(frozen=True)
class Sighting:
    """An object where it was found first, on a frame of the file, and how well it answers the words."""

    plan: Plan
    frame: int
    score: float

    @property
    def name(self) -> str:
        return self.plan.region.id

    def target(self, part: range) -> Target:
        """What is to be followed of it on a part of the file's frames, whose step is 1 or -1."""
        span = next((each.span for _, each in self.plan.targets() if each.span.step == part.step), range(0))
        return Target(self.plan.prompts, _shared(span, part))


@dataclass
class Sightings:
    """What was found by now: read by requests while it grows. `total` is how many frames there are to follow."""

    total: int
    found: list[Sighting] = field(default_factory=list)
    before_each_turn: Callable[[], None] = lambda: None


class SearchRun(TrackingRun):
    """A run whose objects are found on its way."""

    def __init__(
        self,
        assignment: Assignment,
        follow: Follow,
        sightings: Sightings,
        *,
        unawaited: Callable[[TrackingRun], None],
        failed: Callable[[ServiceError], None],
    ) -> None:
        super().__init__(assignment, follow, 0, unawaited=unawaited, failed=failed)
        self.sightings = sightings

    @property
    def total(self) -> int:
        return self.sightings.total

    def carry_out(self, job: Job) -> None:
        self.sightings.before_each_turn = job.go_on
        super().carry_out(job)


Find = Callable[[int, int], Iterator[tuple[Mask, Plan]]]
"""What the words find on a frame: the editor's number of it, and the file's."""


@dataclass
class VideoSearch:
    """`numbers` are the editor's frames to look at, rising; `tracker` makes one that remembers nothing yet, over some
    of the file's frames."""

    find: Find
    tracker: Callable[[range], Tracker]
    frames: FrameMap
    numbers: Sequence[int]
    sightings: Sightings
    most: int
    _boxes: dict[int, dict[str, Box]] = field(default_factory=dict)

    def follow(self) -> Iterator[Sequence[FrameMask]]:
        """The masks of one frame after the other, of the objects due there."""
        yield from chain(self._forward(), self._backward())

    def _forward(self) -> Iterator[Sequence[FrameMask]]:
        last = len(self.frames.times) - 1
        tracker = self.tracker(range(last + 1))
        looked = [self.frames.source(number) for number in self.numbers]
        held: list[Cutout] = []
        for number, begin, end in zip(self.numbers, looked, [*looked[1:], last], strict=True):
            earlier = [one.target(range(begin + 1, end + 1)) for one in self.sightings.found]
            known = dict(zip((one.name for one in self.sightings.found), earlier, strict=True))
            new = {one.name: one.target(range(begin, end + 1)) for one in self._new(number, begin, held)}
            self.sightings.total += bool(new)  # a frame on which the others were followed already
            held = []
            for masks in self._counted(tracker, known | new, end - begin + bool(new)):
                if masks and masks[0].frame == end:
                    held = [cut for mask in masks if (cut := Cutout.of(mask.bitmap)) is not None]
                self._note(masks)
                yield masks

    def _new(self, number: int, frame: int, held: Sequence[Cutout]) -> list[Sighting]:
        """What is found on a frame beside what tracks hold there."""
        new: list[Sighting] = []
        for mask, plan in self.find(number, frame):
            cut = Cutout.of(mask.bitmap)
            if len(self.sightings.found) + len(new) == self.most:
                break
            if cut is not None and all(cut.overlap(other) < COVERED for other in held):
                new.append(Sighting(plan, frame, mask.score))
        self.sightings.found += new
        return new

    def _backward(self) -> Iterator[Sequence[FrameMask]]:
        """From each look back to the one before it, as long as an object is in sight and no other track's."""
        looked = [self.frames.source(number) for number in reversed(self.numbers)]
        tracker = self.tracker(range(looked[0], -1, -1))
        going: list[Sighting] = []
        for begin, end in pairwise(looked):
            going += [one for one in self.sightings.found if one.frame == begin]
            targets = {one.name: one.target(range(begin - 1, end - 1, -1)) for one in going}
            self.sightings.total += begin - end
            left, visible = set(targets), set[str]()
            for masks in self._counted(tracker, targets, begin - end):
                left -= {mask.object_id for mask in masks if self._another(mask)}
                kept = [mask for mask in masks if mask.object_id in left]
                visible |= {mask.object_id for mask in kept if mask.present}
                self._note(kept)
                yield kept
            going = [one for one in going if one.name in left & visible]

    def _counted(
        self, tracker: Tracker, targets: dict[str, Target], expected: int
    ) -> Iterator[tuple[FrameMask, ...]]:
        """What `tracker` finds; where that isn't on as many frames as expected, the total is corrected."""
        done = 0
        for done, masks in enumerate(tracker.follow(targets), 1):  # noqa: B007  of the last one
            yield masks
        self.sightings.total += done - expected

    def _note(self, masks: Sequence[FrameMask]) -> None:
        for mask in masks:
            box = tight_box(mask.bitmap) if mask.present else None
            if box is not None:
                self._boxes.setdefault(mask.frame, {})[mask.object_id] = box

    def _another(self, mask: FrameMask) -> bool:
        """Whether it is what another track holds on that frame: an object that was lost, and found again."""
        box = tight_box(mask.bitmap) if mask.present else None
        others = self._boxes.get(mask.frame, {}).items()
        return box is not None and any(
            box_iou(box, other) > ANY_QUESTION for name, other in others if name != mask.object_id
        )


def _shared(span: range, part: range) -> range:
    """The frames of both, which go the same way."""
    if part.step > 0:
        return range(max(span.start, part.start), min(span.stop, part.stop))
    return range(min(span.start, part.start), max(span.stop, part.stop), -1)
