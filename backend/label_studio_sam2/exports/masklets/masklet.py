"""One object's masks by frame, taken from the keyframes that tracking wrote, and the frames where one is missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from label_studio_sam2.errors import PromptError
from label_studio_sam2.exports.categories import UNLABELLED
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.rle import Rle
from label_studio_sam2.labelstudio.regions.doubts import LOOK_AT, listed
from label_studio_sam2.labelstudio.regions.keyframes import Keyframe
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.media_files.videos import MAX_PIXELS
from label_studio_sam2.types import Size

CONCERNING_FRAMES = frozenset({Lack.NO_MASK, Lack.NOT_TRACKED})
"""What is counted by frames; why a keyframe's mask isn't used is said of the keyframe."""


@dataclass(frozen=True, slots=True)
class Masklet:
    """An object of a video: its masks by frame, and the `unknown` frames, on which it is shown but has none.
    Tracking says which to `look_at`."""

    region: str
    label: str
    masks: Mapping[int, Rle]
    unknown: frozenset[int]
    look_at: frozenset[int] = frozenset()

    @classmethod
    def read(
        cls, region: VideoRegion, size: Size, numbering: Sequence[range], report: Report, where: str
    ) -> Masklet | None:
        """By the frames that are written, of which frame s shows what `numbering[s]` of Label Studio's do; None where
        the region has no mask of this size at all."""
        found = {keyframe.frame: _rle(keyframe, size) for keyframe in region.keyframes}
        where = f"{where}, region {region.id}"
        for number, lack in found.items():
            if isinstance(lack, Lack):
                report.lack(lack, f"{where}, frame {number}")
        masks = dict(_first_masks(found, numbering))
        if not masks:
            report.lack(Lack.NO_MASKS, where)
            return None
        report.lack(Lack.NO_LABEL, where, times=not region.labels)
        unknown: set[int] = set()
        for frame, numbers in enumerate(numbering):
            lack = _lacking(region, found, numbers) if frame not in masks and numbers else None
            if lack:
                unknown.add(frame)
                report.lack(lack, f"{where}, frame {numbers.start}", times=lack in CONCERNING_FRAMES)
        named = ", ".join(region.labels) or UNLABELLED
        return cls(region.id, named, masks, frozenset(unknown), _to_look_at(region, numbering))


def _to_look_at(region: VideoRegion, numbering: Sequence[range]) -> frozenset[int]:
    """The frames that the region's meta lists, or, where an export has lost it, its keyframes."""
    said = {one.frame for one in region.keyframes if one.value.get(LOOK_AT) is True}
    said |= listed(region.region.get("meta"))
    return frozenset(frame for frame, numbers in enumerate(numbering) if not said.isdisjoint(numbers))


def mask_size(keyframe: Keyframe) -> Size | None:
    """The size that a keyframe's mask says it has, if it has one."""
    rle = keyframe.value.get("rle")
    found = rle.get("size") if isinstance(rle, Mapping) else None
    if isinstance(found, list) and len(found) == 2 and all(type(n) is int and n > 0 for n in found):
        return Size(*found) if found[0] * found[1] <= MAX_PIXELS else None
    return None


def _rle(keyframe: Keyframe, size: Size) -> Rle | Lack | None:
    """The keyframe's mask, or why it isn't used; None where there is none, or an empty one."""
    rle = keyframe.value.get("rle")
    if rle is None:
        return None
    own, counts = mask_size(keyframe), rle.get("counts") if isinstance(rle, Mapping) else None
    if own is None or not isinstance(counts, str):
        return Lack.DAMAGED
    if own != size:
        return Lack.OTHER_SIZE
    try:
        read, moved = Rle.read(counts, size), _moved(keyframe, size)
    except PromptError:
        return Lack.DAMAGED
    return Lack.STALE if read is not None and moved else read


def _moved(keyframe: Keyframe, size: Size) -> bool:
    """Another backend's keyframe has neither `auto` nor `answered`: there, the box has to be the mask's."""
    return not Keyframe(keyframe.frame, keyframe.enabled, {**keyframe.value, "auto": True}).untouched(size)


def _first_masks(
    found: Mapping[int, Rle | Lack | None], numbering: Sequence[range]
) -> Iterator[tuple[int, Rle]]:
    """Each written frame that has a mask on one of its numbers, with the first."""
    stops = [numbers.stop for numbers in numbering]
    last = -1
    for number, rle in found.items():
        frame = bisect_right(stops, number)
        if isinstance(rle, Rle) and last < frame < len(numbering):
            yield frame, rle
            last = frame


def _lacking(region: VideoRegion, found: Mapping[int, Rle | Lack | None], numbers: range) -> Lack | None:
    """Why a frame without a mask isn't one that the object is hidden on: its keyframe's mask isn't used, the editor
    shows the box there, from a keyframe to the next unless it says `enabled: false`, or tracking hasn't reached it."""
    following = bisect_left(region.keyframes, numbers.stop, key=lambda keyframe: keyframe.frame)
    before = region.keyframes[following - 1] if following else None
    if before is not None and before.frame in numbers:
        lack = found[before.frame]
        return lack if isinstance(lack, Lack) else Lack.NO_MASK
    if before is not None and before.enabled:
        return Lack.NO_MASK
    return Lack.NOT_TRACKED if region.tracked and numbers.start >= region.tracked.stop else None
