"""What was tracked of an object, as the keyframes that the editor shows: one a frame, or as few as it needs.

A frame of the file that the editor shows for long (a still, a video that begins late) has keyframes on the first and
the last of the editor's frames that show it, and nothing stands behind the file's last frame.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.regions.doubts import LOOK_AT
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.labelstudio.regions.keyframes import CORE, SHAPE, Keyframe, answered_shape, shape_at
from label_studio_sam2.labelstudio.regions.lifespan import Lifespan
from label_studio_sam2.labelstudio.regions.thinning import needed
from label_studio_sam2.types import Box, FrameMask, Size

DECIMALS = 4
OBJECT_BYTES = 400


class Tracked(NamedTuple):
    """A visible object on one frame: its tight box in pixels, the model's score, its mask's COCO counts if kept, and
    the frame's size."""

    box: Box
    score: float
    counts: str | None
    size: Size

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return OBJECT_BYTES + len(self.counts or "")

    @classmethod
    def of(cls, mask: FrameMask, *, with_mask: bool = True) -> Tracked | None:
        """None where the object isn't visible, or its mask is empty."""
        box = tight_box(mask.bitmap) if mask.present else None
        counts = coco_rle.encode(mask.bitmap) if box and with_mask else None
        return box and cls(box, mask.score, counts, Size(*mask.bitmap.shape))


Results = Mapping[int, Tracked | None]
"""By the file's frames: where the object was visible, and where it was looked for in vain."""


def sequence(
    keyframes: Sequence[Keyframe],
    users: Sequence[Keyframe],
    results: Results,
    frames: FrameMap,
    size: Size,
    *,
    lifespan: Lifespan,
    every_frame: bool,
    look_at: Container[int] = (),
) -> list[dict[str, Any]]:
    """The keyframes with what was tracked: on the frames of `results` new ones, elsewhere the old, and none where the
    annotator switched the object off. `users` are those that the annotator drew; where `every_frame` is False,
    keyframes are thinned to what the editor's interpolation needs. Those on a frame to `look_at` say so."""

    def tracked(number: int) -> bool:
        within = 1 <= number <= frames.count and lifespan.follows(number)
        return within and frames.source(number) in results

    drawn = {one.frame: one for one in users if tracked(one.frame)}
    ends = {one.frame: one for one in keyframes if one.frame in lifespan.ends and tracked(one.frame)}
    numbers = {number for source in results for number in frames.keyframes(source)}
    numbers = set(filter(lifespan.follows, numbers)) | drawn.keys() | ends.keys()
    here = {number: results[frames.source(number)] for number in sorted(numbers)}
    old = {one.frame: dict(one.value) for one in keyframes if _stays(one.frame, lifespan, tracked)}
    stay = {**ends, **drawn}
    visible = {number: None for number, found in here.items() if found is not None or number in stay}
    for number in here:
        if not tracked(number - 1):
            _join(old, keyframes, number, lifespan, visible=number in visible)
    new: dict[int, dict[str, Any]] = {}
    for run in _runs(list(visible), frames):
        boxes = np.array([_edges(here[number], stay.get(number), size) for number in run])
        rows = range(len(run)) if every_frame else needed(boxes, _forced(run, stay))
        for number in (run[row] for row in rows):
            user = drawn.get(number) or (None if here[number] else ends[number])
            new[number] = _keyframe(here[number], user, size, every_frame)
            new[number] |= {} if number in drawn else {"auto": True}
            new[number] |= {LOOK_AT: True} if number in look_at else {}
        _switch(new[run[-1]], on=run[-1] >= frames.end or run[-1] + 1 in old)
    for number in ends:
        _switch(new[number], on=True)
        new[number]["enabled"] = False
    merged = {**old, **new}
    return [{**merged[number], "frame": number, "time": number / frames.rate} for number in sorted(merged)]


def _stays(number: int, lifespan: Lifespan, tracked: Callable[[int], bool]) -> bool:
    """Whether a keyframe is kept as it is."""
    return not tracked(number) and (number in lifespan.ends or not lifespan.hides(number))


def _join(
    old: dict[int, dict[str, Any]],
    keyframes: Sequence[Keyframe],
    number: int,
    lifespan: Lifespan,
    *,
    visible: bool,
) -> None:
    """Let what the editor shows before `number`, where new keyframes begin, stay as it was."""
    if number - 1 in lifespan.ends or lifespan.hides(number - 1):
        return
    shape = shape_at(keyframes, number - 1)
    if number - 1 in old:
        _switch(old[number - 1], on=visible)
    elif shape is not None and number > 1:
        old[number - 1] = {**shape, "auto": True, "answered": answered_shape(shape)}
        _switch(old[number - 1], on=visible)


def _switch(keyframe: dict[str, Any], *, on: bool) -> None:
    """Let the object go on behind a keyframe, or not, and keep beside it that this was answered."""
    keyframe["enabled"] = on
    if isinstance(keyframe.get("answered"), list):
        keyframe["answered"] = [*keyframe["answered"][:SHAPE], int(on)]


def _runs(numbers: Sequence[int], frames: FrameMap) -> Iterator[Sequence[int]]:
    """Those that follow upon each other, or stand in one frame of the file."""
    start = 0
    for place, (number, following) in enumerate(pairwise(numbers), start=1):
        if following > number + 1 and frames.source(following) != frames.source(number):
            yield numbers[start:place]
            start = place
    if numbers:
        yield numbers[start:]


def _forced(run: Sequence[int], stay: Container[int]) -> set[int]:
    """The rows of a run that thinning keeps: the annotator's, and both ends of a frame that is shown for long."""
    gaps = [row for row in range(1, len(run)) if run[row] - run[row - 1] > 1]
    users = (row for row, number in enumerate(run) if number in stay)
    return {*users, *gaps, *(row - 1 for row in gaps)}


def _edges(found: Tracked | None, user: Keyframe | None, size: Size) -> Box:
    box = user.box(size) if user else None
    box = box or (found.box if found else None)
    return box or Box(0, 0, 0, 0)


def _keyframe(found: Tracked | None, user: Keyframe | None, size: Size, with_mask: bool) -> dict[str, Any]:
    if user is not None:
        keyframe: dict[str, Any] = {**user.shape, "enabled": True}
    else:
        assert found is not None
        keyframe = {**_percent(found.box, size), "rotation": 0, "enabled": True}
    # Beside a mask, too: told from it, that the box was moved would take a look at every mask on every click.
    keyframe["answered"] = answered_shape(keyframe)
    if found is not None:
        keyframe["score"] = round(found.score, 4)
        if found.counts is not None and with_mask:
            keyframe["rle"] = {"size": list(size), "counts": found.counts}
    return keyframe


def _percent(box: Box, size: Size) -> dict[str, float]:
    by_x, by_y = 100 / size.width, 100 / size.height
    values = (box.x0 * by_x, box.y0 * by_y, (box.x1 - box.x0) * by_x, (box.y1 - box.y0) * by_y)
    return {key: round(value, DECIMALS) for key, value in zip(CORE, values, strict=True)}
