"""The keyframes of a videorectangle region: what the annotator drew, told from what tracking put there.

The editor keeps a keyframe's unknown keys when the annotator moves it, and gives a keyframe that is added between
two others the unknown keys of the next one. So `auto` alone says nothing: what counts is whether the box is still the
one that was answered, which is the tight box of the keyframe's own `rle`, or stands in `answered`. There stands too
whether the object was answered to be there on the next frame: who switched it off behind a keyframe is told by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import clipped, hull
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.regions.values import number, rectangle_corners, rotation
from label_studio_sam2.types import Box, PackedMask, Prompt, Size

MOVED = 0.5
"""Pixels from which on an edge counts as moved by the annotator."""

LAST_FRAME = 2**31 - 1

CORE = ("x", "y", "width", "height")

SHAPE = 5
"""Numbers of a box in `answered`, its rotation among them; one more says whether the object went on behind it."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """One keyframe as it came: `frame` counts from 1; where `enabled` is False it is the last visible one."""

    frame: int
    enabled: bool
    value: Mapping[str, Any]

    @classmethod
    def parse(cls, value: Any) -> Keyframe:
        """Raises PromptError unless it is a box on a frame."""
        if not isinstance(value, Mapping):
            raise PromptError("A video region's sequence must be a list of keyframes.")
        frame = number(value, "frame")
        if not 1 <= frame <= LAST_FRAME or frame != int(frame):
            raise PromptError(
                f'A keyframe\'s "frame" must be a whole number from 1 to {LAST_FRAME}, not {frame:g}.'
            )
        for key in CORE:
            number(value, key)
        rotation(value)
        return cls(int(frame), value.get("enabled") is not False, value)

    @property
    def shape(self) -> dict[str, float]:
        """Its box as the editor holds it, in per cent."""
        return {**{key: number(self.value, key) for key in CORE}, "rotation": rotation(self.value)}

    @property
    def auto(self) -> bool:
        return self.value.get("auto") is True

    def box(self, size: Size) -> Box | None:
        """The upright box around it, in pixels of the frame; None where it lies outside of the frame."""
        return clipped(hull(rectangle_corners(self.value, size)), size)

    def prompt(self, size: Size) -> Prompt:
        """The box as a prompt. Raises PromptError where it lies outside of the frame."""
        box = self.box(size)
        if box is None:
            raise PromptError(
                f"The box on frame {self.frame} lies outside of the picture; move it or delete it."
            )
        return Prompt(box=box)

    def mask_prompt(self, size: Size) -> Prompt | None:
        """Its own mask as a prompt, if there is one and the box is still the mask's."""
        counts = _counts(self.value, size)
        if counts is None or not self.untouched(size) or coco_rle.box(counts, size) is None:
            return None
        return Prompt(mask=PackedMask.of(coco_rle.decode(counts, size)))

    def untouched(self, size: Size) -> bool:
        """Whether the box is still the one that was answered; False for one that never was."""
        answered = _answered(self, size)
        return answered is not None and _same(self.shape, answered, size)

    def tracked(self, size: Size) -> bool:
        """Whether tracking put it there and nobody moved it since."""
        return self.auto and (self.untouched(size) or _answered(self, size) is None)

    def ends(self, size: Size) -> bool:
        """Whether the annotator switched the object off behind it, and not an answer for which it was out of sight."""
        if self.enabled:
            return False
        if self.tracked(size) or self.untouched(size):
            kept = self.value.get("answered")
            return isinstance(kept, list) and len(kept) == SHAPE + 1 and bool(kept[SHAPE])
        return True

    def resembles(self, shape: Mapping[str, float] | None, size: Size) -> bool:
        """Whether its box is this one, in per cent."""
        return shape is not None and _same(self.shape, [*shape.values()], size)


def parse_sequence(sequence: Any) -> tuple[Keyframe, ...]:
    """The keyframes in the order of their frames, of several on one frame the last. Raises PromptError."""
    if not isinstance(sequence, list):
        raise PromptError("A video region's sequence must be a list of keyframes.")
    keyframes = {keyframe.frame: keyframe for keyframe in map(Keyframe.parse, sequence)}
    return tuple(keyframes[frame] for frame in sorted(keyframes))


def shape_at(keyframes: Iterable[Keyframe], frame: int) -> dict[str, float] | None:
    """The box, in per cent, that the editor shows on a frame by interpolation; None where it shows none."""
    before = after = None
    for keyframe in keyframes:
        if keyframe.frame > frame:
            after = keyframe
            break
        before = keyframe
    if before is None or not (before.enabled or before.frame == frame):
        return None
    if after is None:
        return before.shape
    share = (frame - before.frame) / (after.frame - before.frame)
    return {key: one + (after.shape[key] - one) * share for key, one in before.shape.items()}


def answered_shape(shape: Mapping[str, float]) -> list[float]:
    """What is kept beside an answered box, behind which the object goes on, so as to notice that it was moved or
    switched off."""
    return [*(shape[key] for key in CORE), shape.get("rotation", 0.0), 1]


def _same(shape: Mapping[str, float], other: Sequence[float], size: Size) -> bool:
    """Whether two boxes, in per cent, are within half a pixel of each other and turned alike."""
    scale = (size.width / 100, size.height / 100) * 2
    here = [shape[key] for key in CORE]
    return shape["rotation"] == other[4] and all(
        abs(one - there) * by < MOVED for one, there, by in zip(here, other[:4], scale, strict=True)
    )


def _answered(keyframe: Keyframe, size: Size) -> tuple[float, ...] | None:
    """The box that was answered, in per cent with its rotation, if any was."""
    kept = keyframe.value.get("answered")
    if (
        isinstance(kept, list)
        and len(kept) in {SHAPE, SHAPE + 1}
        and all(isinstance(n, int | float) for n in kept)
    ):
        return tuple(float(n) for n in kept[:SHAPE])
    counts = _counts(keyframe.value, size) if keyframe.auto else None
    box = None if counts is None else coco_rle.box(counts, size)
    if box is None:
        return None
    by_x, by_y = 100 / size.width, 100 / size.height
    return box.x0 * by_x, box.y0 * by_y, (box.x1 - box.x0) * by_x, (box.y1 - box.y0) * by_y, 0.0


def _counts(value: Mapping[str, Any], size: Size) -> str | None:
    """The counts of its mask, if it has one of the frame's own size."""
    rle = value.get("rle")
    if (
        not isinstance(rle, Mapping)
        or rle.get("size") != list(size)
        or not isinstance(rle.get("counts"), str)
    ):
        return None
    return str(rle["counts"])
