"""One object's masks by frame, taken from the keyframes that tracking wrote, and the frames where one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from label_studio_sam2.engine.frames import MAX_PIXELS
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio import coco_rle
from label_studio_sam2.labelstudio.keyframes import Keyframe
from label_studio_sam2.labelstudio.video_regions import VideoRegion
from label_studio_sam2.masklets.report import Lack, Report
from label_studio_sam2.types import Bitmap, Box, Size

UNLABELLED = "object"
"""The category of a region that has no label."""


class Rle(NamedTuple):
    """A mask that was checked: its COCO counts, its size, its tight box and its area in pixels."""

    counts: str
    size: Size
    box: Box
    area: int

    def bitmap(self) -> Bitmap:
        return coco_rle.decode(self.counts, self.size)

    def coco(self) -> dict[str, Any]:
        return {"size": list(self.size), "counts": self.counts}

    def coco_box(self) -> list[int]:
        """Left, top, width, height."""
        left, top, right, bottom = map(int, self.box)
        return [left, top, right - left, bottom - top]


@dataclass(frozen=True, slots=True)
class Masklet:
    """An object of a video: its masks by frame, and the `unknown` frames, on which it is shown but has none."""

    region: str
    label: str
    masks: Mapping[int, Rle]
    unknown: frozenset[int]

    @classmethod
    def read(cls, region: VideoRegion, size: Size, count: int, report: Report, where: str) -> Masklet | None:
        """By Label Studio's frames, 1 to `count`; None where the region has no mask of this size at all."""
        found = {keyframe.frame: _rle(keyframe, size) for keyframe in region.keyframes}
        masks = {frame: rle for frame, rle in found.items() if isinstance(rle, Rle)}
        refused = {frame: lack for frame, lack in found.items() if isinstance(lack, Lack)}
        for frame, lack in refused.items():
            report.lack(lack, f"{where}, region {region.id}, frame {frame}")
        if not masks:
            report.lack(Lack.NO_MASKS, f"{where}, region {region.id}")
            return None
        shown = _shown(region.keyframes, count)
        bare = sorted(shown - set(found) | {frame for frame, rle in found.items() if rle is None})
        ahead = set(range(region.tracked.stop, count + 1)) - shown if region.tracked else set[int]()
        for lack, frames in ((Lack.NO_MASK, bare), (Lack.NOT_TRACKED, sorted(ahead))):
            report.lack(lack, f"{where}, region {region.id}, frame {next(iter(frames), 0)}", len(frames))
        label = ", ".join(region.labels) or UNLABELLED
        return cls(region.id, label, masks, frozenset({*bare, *ahead, *refused}))

    def renumbered(self, numbering: Sequence[range]) -> Masklet:
        """By the frames of another count, in which frame s shows what `numbering[s]` of this count do."""
        masks, unknown = {}, set()
        for frame, numbers in enumerate(numbering):
            rle = next((self.masks[number] for number in numbers if number in self.masks), None)
            if rle is not None:
                masks[frame] = rle
            elif not self.unknown.isdisjoint(numbers):
                unknown.add(frame)
        return Masklet(self.region, self.label, masks, frozenset(unknown))


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
        box, area, moved = coco_rle.box(counts, size), coco_rle.area(counts, size), _moved(keyframe, size)
    except PromptError:
        return Lack.DAMAGED
    if box is None:
        return None
    return Lack.STALE if moved else Rle(counts, size, box, area)


def _moved(keyframe: Keyframe, size: Size) -> bool:
    """Another backend's keyframe has neither `auto` nor `answered`: there, the box has to be the mask's."""
    return not Keyframe(keyframe.frame, keyframe.enabled, {**keyframe.value, "auto": True}).untouched(size)


def _shown(keyframes: Iterable[Keyframe], count: int) -> set[int]:
    """The frames on which the editor shows the box: from a keyframe to the next, unless it says `enabled: false`."""
    keyframes = list(keyframes)
    shown = {keyframe.frame for keyframe in keyframes}
    for one, following in pairwise(keyframes):
        if one.enabled:
            shown.update(range(one.frame, following.frame))
    if keyframes and keyframes[-1].enabled:
        shown.update(range(keyframes[-1].frame, count + 1))
    return shown
