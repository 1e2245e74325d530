"""What is to be followed of one object through a list of pictures: outward from where it was asked for, both ways.

A correction holds on its picture and beyond it, seen from the first prompt; what lies nearer to that stays as it was.
So the mask on a picture depends on the prompts from the first one up to it, and on nothing else: what an earlier run
found there by the same prompts is taken over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, pairwise
from typing import NamedTuple

from label_studio_sam2.background.tracking_run import TrackingRun
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.regions.listed import ListedObject
from label_studio_sam2.types import Bitmap, FrameMask, PackedMask, Prompt

WAYS = (1, -1)
"""Toward the end of the list, and toward its beginning."""

NEAR = 0.25
"""Of the sides of a tracked mask's box: clicks that lie this near to it correct the mask. One farther off says that the
object is elsewhere."""


class Leg(NamedTuple):
    """A part of a list that is followed in one go, outward. `asked` are the pictures whose prompts it follows from, it
    begins at the last of them. `reach` is its span, and where the next leg begins with clicks, that one's first picture
    too: they correct what is tracked there."""

    asked: tuple[int, ...]
    span: range
    reach: range

    @property
    def begin(self) -> int:
        return self.asked[-1]


def legs_of(prompts: Mapping[int, Prompt], count: int, way: int) -> list[Leg]:
    """Those that lead one way from the first prompt, outward; that one's own picture is on the way to the end."""
    first = next(iter(prompts))
    begins = [first, *sorted((at for at in prompts if (at - first) * way > 0), reverse=way < 0)]
    end = count if way > 0 else -1
    legs = []
    for number, (begin, stop) in enumerate(pairwise([*begins, end])):
        start = begin - 1 if way < 0 and begin == first else begin
        corrected = stop != end and of_clicks(prompts[stop])
        span, reach = range(start, stop, way), range(start, stop + way * corrected, way)
        legs.append(Leg(tuple(begins[: number + 1]), span, reach))
    return legs


def of_clicks(prompt: Prompt) -> bool:
    return prompt.box is None and prompt.mask is None


def correction(prompt: Prompt, tracked: Bitmap | None) -> Prompt | None:
    """What a prompt asks for on a picture where this mask is tracked: clicks correct it, unless one lies far off. None
    where there is nothing that clicks beside the object could correct."""
    box = tight_box(tracked) if tracked is not None and of_clicks(prompt) else None
    positive = [point for point in prompt.points if point.positive]
    if tracked is not None and box is not None:
        across, down = NEAR * (box.x1 - box.x0), NEAR * (box.y1 - box.y0)
        if all(
            box.x0 - across <= point.x <= box.x1 + across and box.y0 - down <= point.y <= box.y1 + down
            for point in positive
        ):
            return Prompt(prompt.points, mask=PackedMask.of(tracked))
    return prompt if positive or not of_clicks(prompt) else None


@dataclass(frozen=True)
class FilmPlan:
    """An object of a list of `count` pictures. `prompts` are in pixels, by picture, the first one that asked for it
    first; `known` are the legs that an earlier run has followed already."""

    object: ListedObject
    prompts: Mapping[int, Prompt]
    count: int
    known: Mapping[Leg, TrackingRun] = field(default_factory=dict)

    @property
    def first(self) -> int:
        return next(iter(self.prompts))

    @cached_property
    def ways(self) -> Mapping[int, Sequence[Leg]]:
        return {way: legs_of(self.prompts, self.count, way) for way in WAYS}

    @property
    def legs(self) -> list[Leg]:
        return list(chain.from_iterable(self.ways.values()))

    @property
    def left(self) -> int:
        """How many pictures are to be followed."""
        return sum(len(leg.span) for leg in self.legs if leg not in self.known)

    @property
    def places(self) -> list[int]:
        """Every picture in the order in which they are followed, the nearest first."""
        return sorted(range(self.count), key=lambda place: (abs(place - self.first), place < self.first))

    def asked_at(self, place: int) -> int:
        """The picture whose prompt the mask on this one follows from last."""
        return next(leg.begin for leg in self.legs if place in leg.span)

    def knowing(self, earlier: Iterable[TrackingRun]) -> FilmPlan:
        """The plan that takes over what earlier runs found."""
        known: dict[Leg, TrackingRun] = {}
        for run in earlier:
            known = {leg: run for leg in self.legs if self._found(leg, run)} | known
        return FilmPlan(self.object, self.prompts, self.count, known)

    def follow(self, way: int, track: Callable[[Target], Iterator[FrameMask]]) -> Iterator[FrameMask]:
        """What is left to follow one way, a leg after the other, outward."""
        given: dict[int, Prompt] = {}
        tracked: Bitmap | None = None
        for leg in self.ways[way]:
            if asked := correction(self.prompts[leg.begin], tracked):
                given[leg.begin] = asked
            tracked = self._known_mask(leg)
            for mask in track(Target(dict(given), leg.reach)) if leg not in self.known and leg.reach else ():
                if mask.frame in leg.span:
                    yield mask
                else:
                    tracked = mask.bitmap

    def _known_mask(self, leg: Leg) -> Bitmap | None:
        """What an earlier run tracked where the next leg begins."""
        if leg not in self.known or leg.reach == leg.span:
            return None
        found = self.known[leg].found(self.object.id).get(leg.reach[-1])
        return None if found is None or found.counts is None else coco_rle.decode(found.counts, found.size)

    def _found(self, leg: Leg, run: TrackingRun) -> bool:
        """Whether a run has followed all of it, from the same prompts."""
        name = self.object.id
        prompts = run.assignment.prompts.get(name, {})
        if run.assignment.firsts.get(name) != self.first:
            return False
        followed = (other for way in WAYS for other in legs_of(prompts, self.count, way))
        alike = any(
            other.asked == leg.asked and set(leg.reach) <= set(other.span)
            for other in followed
            if all(prompts.get(at) == self.prompts[at] for at in leg.asked)
        )
        found = run.found(name)
        return alike and all(place in found or place in run.unreadable for place in leg.reach)
