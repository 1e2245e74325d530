"""Where a search on a video looks, whom it follows and where it stops, with words and a tracker that do as they are
told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from label_studio_sam2.clicks.video_plan import Plan
from label_studio_sam2.clicks.video_search import Sightings, VideoSearch
from label_studio_sam2.engine.video.targets import Target, span_of
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions import found_on_video
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.types import Bitmap, Box, FrameMask, Mask

from tests.fakes.clips import known

FRAMES, RATE = 40, 10
VIDEO = known(np.arange(FRAMES) / RATE)
CONFIG = labeling_config.parse(
    f"""<View><Labels name="l" toName="video"><Label value="Car"/></Labels>
    <Video name="video" value="$video" framerate="{RATE}"/><VideoRectangle name="box" toName="video"/></View>"""
)
LOOKS = (0, 10, 20, 30)


def square(left: int) -> Bitmap:
    mask = np.zeros(VIDEO.size, np.bool_)
    mask[10:30, left : left + 20] = True
    return mask


@dataclass
class World:
    """`named`: the objects that words find on each frame, by name. `held`: where the tracker sees each that it follows,
    by frame. Places are left edges. `followed`: the parts of the video that it was sent through, and after whom."""

    named: Mapping[int, Mapping[str, int]]
    held: Mapping[str, Mapping[int, int]]
    looked: list[int] = field(default_factory=list)
    followed: list[tuple[int, int, str]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def find(self, number: int, frame: int) -> Iterator[tuple[Mask, Plan]]:
        self.looked.append(frame)
        tag, options = CONFIG.object("video"), replace(CONFIG.options("video"), backward=True)
        for name, left in self.named.get(frame, {}).items():
            box = Box(left, 10, left + 20, 30)
            region = found_on_video.region(box, VIDEO.size, number, CONFIG, tag, None, name)
            self.names[region.id] = name
            yield Mask(square(left), 0.9), Plan.of(region, VIDEO, RATE, options)

    def follow(self, targets: Mapping[str, Target]) -> Iterator[tuple[FrameMask, ...]]:
        span = span_of(targets)
        if span:
            self.followed.append((span[0], span[-1], "".join(self.names[name] for name in targets)))
        for frame in span:
            yield tuple(self._mask(frame, name) for name, each in targets.items() if frame in each.span)

    def _mask(self, frame: int, name: str) -> FrameMask:
        left = self.held[self.names[name]].get(frame)
        bitmap = np.zeros(VIDEO.size, np.bool_) if left is None else square(left)
        return FrameMask(frame, name, bitmap, left is not None, 0.9)

    def searched(self, most: int = 9) -> dict[str, list[int]]:
        """The frames on which each object was seen, which are given once each."""
        sightings = Sightings(FRAMES - 1)
        search = VideoSearch(
            find=self.find,
            tracker=lambda _: self,  # type: ignore[arg-type, return-value]  # all that a search asks of one
            frames=FrameMap.of(VIDEO, RATE, Counted()),
            numbers=[look + 1 for look in LOOKS],
            sightings=sightings,
            most=most,
        )
        found: dict[str, list[int]] = {}
        given: Sequence[Sequence[FrameMask]] = list(search.follow())
        for mask in (mask for masks in given for mask in masks if mask.present):
            found.setdefault(self.names[mask.object_id], []).append(mask.frame)
        assert sightings.total == len(given)
        return {name: sorted(frames) for name, frames in found.items()}


def still(left: int, *frames: range) -> dict[int, int]:
    return {frame: left for span in frames for frame in span}


def test_what_a_track_holds_already_is_not_found_again() -> None:
    world = World(
        {look: {"a": 0} if look == 0 else {"again": 1} for look in LOOKS}, {"a": still(0, range(FRAMES))}
    )
    assert world.searched() == {"a": [*range(FRAMES)]}
    assert world.looked == [*LOOKS]
    assert world.followed == [(0, 10, "a"), (11, 20, "a"), (21, 30, "a"), (31, 39, "a")]


def test_what_comes_later_is_followed_beside_the_others_and_then_back_until_it_was_out_of_sight_for_a_while() -> (
    None
):
    """As long as from one look to the next; nobody else is followed back."""
    world = World(
        {0: {"a": 0}, 30: {"a2": 0, "b": 50}},
        {"a": still(0, range(FRAMES)), "b": still(50, range(26, FRAMES), range(3, 6))},
    )
    assert world.searched() == {"a": [*range(FRAMES)], "b": [*range(26, FRAMES)]}
    assert world.followed[3:] == [(30, 39, "ab"), (29, 20, "b"), (19, 10, "b")]


def test_an_object_that_was_lost_and_is_found_again_is_not_followed_back_over_its_own_track() -> None:
    world = World(
        {0: {"a": 0}, 20: {"b": 0}},
        {"a": still(0, range(14)), "b": still(0, range(FRAMES))},
    )
    assert world.searched() == {"a": [*range(14)], "b": [*range(14, FRAMES)]}
    assert world.followed[-1] == (19, 10, "b")


def test_where_nothing_is_found_nothing_is_followed() -> None:
    world = World({30: {"b": 50}}, {"b": still(50, range(30, FRAMES))})
    assert world.searched() == {"b": [*range(30, FRAMES)]}
    assert world.followed == [(30, 39, "b"), (29, 20, "b")]


def test_no_more_objects_are_followed_than_the_project_says_the_first_found_first() -> None:
    world = World(
        {0: {"a": 0}, 10: {"a2": 0, "b": 30}, 20: {"c": 55}},
        {name: still(left, range(FRAMES)) for name, left in (("a", 0), ("b", 30), ("c", 55))},
    )
    assert sorted(world.searched(most=2)) == ["a", "b"]
