"""The tracks that an annotator has in hand: in the draft that the editor saves while somebody works on an annotation.

What words find is answered under ids that are always the same, and the editor lets an answer take the place of the
region of its id. So what was changed by hand since is not answered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import box_iou, clipped, hull
from label_studio_sam2.labelstudio.regions.drawn import known_type
from label_studio_sam2.labelstudio.regions.keyframes import shape_at
from label_studio_sam2.labelstudio.regions.values import rectangle_corners, shape_of
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.types import Box, Size

SAME = 0.7
"""IoU of two boxes on a frame from which both are around the same object: one of them may be drawn by hand."""


def tracks_in(drafts: Any) -> list[VideoRegion]:
    """Those of the draft that was saved last; what can't be read is passed over."""
    objects = [one for one in drafts if isinstance(one, dict)] if isinstance(drafts, list) else []
    newest = max(objects, key=lambda one: str(one.get("updated_at") or one.get("created_at")), default={})
    result = newest.get("result")
    found: list[VideoRegion] = []
    for item in result if isinstance(result, list) else ():
        if isinstance(item, dict) and known_type(item) == "videorectangle":
            value = item.get("value")
            with suppress(PromptError):
                found += [VideoRegion.parse(item)] if isinstance(value, dict) and shape_of(value) else []
    return found


def keeps(in_hand: Sequence[VideoRegion], found: VideoRegion, size: Size) -> bool:
    """Whether what is in hand stays as it is beside what words `found`: the same region, changed since, or another one
    around the object where it was found."""
    for own in in_hand:
        if own.id == found.id:
            return _changed(own, found, size)
    drawn = found.keyframes[0]
    box = drawn.box(size)
    others = (_box_at(other, drawn.frame, size) for other in in_hand)
    return box is not None and any(other is not None and box_iou(box, other) > SAME for other in others)


def _changed(own: VideoRegion, found: VideoRegion, size: Size) -> bool:
    """Whether somebody gave it another label, moved it, or switched it on or off."""
    drawn = [keyframe.frame for keyframe in own.user_keyframes(size)]
    ends = any(keyframe.ends(size) for keyframe in own.keyframes)
    relabelled = own.labels != found.labels
    return relabelled or ends or drawn != [found.keyframes[0].frame] or bool(own.corrections(size))


def _box_at(region: VideoRegion, number: int, size: Size) -> Box | None:
    shape = shape_at(region.keyframes, number)
    return None if shape is None else clipped(hull(rectangle_corners(shape, size)), size)
