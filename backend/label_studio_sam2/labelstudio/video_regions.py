"""Videorectangle regions: read as what to track, and written with what was tracked.

A track is a keyframe a frame: the tight box, `auto`, the model's `score`, and the mask as COCO RLE under `rle`, which
Label Studio keeps through saving and export. The annotator's own keyframes stay as they are, with the mask added.
A frame on which the object isn't visible has no keyframe, and the one before it has `enabled: false`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio import coco_rle
from label_studio_sam2.labelstudio.frame_map import FrameMap
from label_studio_sam2.labelstudio.keyframes import CORE, Keyframe, answered_shape, parse_sequence, shape_at
from label_studio_sam2.labelstudio.protocol import Region
from label_studio_sam2.labelstudio.thinning import needed
from label_studio_sam2.labelstudio.values import shape_of
from label_studio_sam2.types import Box, FrameMask, Size

DECIMALS = 4
OURS = "SAM 2: "
"""How our lines in a region's `meta.text` begin, so that the next answer can replace them."""


class Tracked(NamedTuple):
    """A visible object on one frame: its tight box in pixels, the model's score, its mask's COCO counts if kept."""

    box: Box
    score: float
    counts: str | None

    @classmethod
    def of(cls, mask: FrameMask, *, with_mask: bool = True) -> Tracked | None:
        """None where the object isn't visible, or its mask is empty."""
        box = tight_box(mask.bitmap) if mask.present else None
        return box and cls(box, mask.score, coco_rle.encode(mask.bitmap) if with_mask else None)


@dataclass(frozen=True, slots=True)
class VideoRegion:
    """One object of a video. `frames_count` and `duration` (seconds) are the editor's, None where it sent none."""

    id: str
    from_name: str
    to_name: str
    labels: tuple[str, ...]
    frames_count: int | None
    duration: float | None
    keyframes: tuple[Keyframe, ...]
    region: Region

    @classmethod
    def parse(cls, region: Region) -> VideoRegion:
        """Raises PromptError, which names the region, for a sequence that is none."""
        value = region["value"]
        try:
            keyframes = parse_sequence(value["sequence"])
        except PromptError as error:
            raise PromptError(f'Region "{region.get("id")}": {error.detail}') from error
        labels = value.get("labels")
        return cls(
            id=str(region.get("id")),
            from_name=str(region.get("from_name")),
            to_name=str(region.get("to_name")),
            labels=tuple(map(str, labels)) if isinstance(labels, list) else (),
            frames_count=int(_positive(value.get("framesCount")) or 0) or None,
            duration=_positive(value.get("duration")),
            keyframes=keyframes,
            region=region,
        )

    def user_keyframes(self, size: Size) -> tuple[Keyframe, ...]:
        """What the annotator drew, moved or added: the prompts."""
        return tuple(keyframe for keyframe in self.keyframes if not keyframe.tracked(size))

    def corrections(self, size: Size) -> tuple[Keyframe, ...]:
        """Of these, what no answer has taken into account yet."""
        return tuple(keyframe for keyframe in self.user_keyframes(size) if not _taken(keyframe, size))

    @property
    def tracked(self) -> range:
        """The editor's frames that were tracked, as the last answer says; empty where there was none."""
        meta = self.region.get("meta")
        found = meta.get("tracked") if isinstance(meta, Mapping) else None
        if isinstance(found, list) and len(found) == 2 and all(type(n) is int and n >= 1 for n in found):
            return range(found[0], found[1] + 1)
        return range(0)


def from_regions(regions: Sequence[Region]) -> list[VideoRegion]:
    """Every videorectangle region, each id once, in their order. Regions without keyframes are passed over."""
    found: dict[str, VideoRegion] = {}
    for region in regions:
        value = region.get("value")
        if isinstance(value, dict) and shape_of(value) == "videorectangle":
            parsed = VideoRegion.parse(region)
            if parsed.keyframes:
                found.setdefault(parsed.id, parsed)
    return list(found.values())


def answer(
    region: VideoRegion,
    results: Mapping[int, Tracked | None],
    frames: FrameMap,
    size: Size,
    *,
    every_frame: bool = True,
    tracked: range | None = None,
    notes: Sequence[str] = (),
) -> Region:
    """The region with what was tracked: the same id, on the frames of `results` new keyframes, elsewhere the old.

    `results` are by the file's frames. Where `every_frame` is False, keyframes are thinned to what the editor's
    interpolation needs within a pixel. `tracked` says which of the editor's frames are done by now, `notes` are
    sentences for the region's Info panel.
    """
    numbers = [number for number in range(1, frames.count + 1) if frames.source(number) in results]
    here = {number: results[frames.source(number)] for number in numbers}
    sequence = _sequence(region, here, frames, size, every_frame)
    scores = [found.score for found in here.values() if found is not None]
    answered: Region = {
        **region.region,
        "type": "videorectangle",
        "value": {
            "framesCount": frames.count,
            "duration": region.duration or frames.count / frames.rate,
            "sequence": sequence,
            **({"labels": list(region.labels)} if region.labels else {}),
        },
        "meta": _meta(region, tracked, notes),
    }
    return {**answered, "score": round(float(np.mean(scores)), 4)} if scores else answered


def _sequence(
    region: VideoRegion, here: Mapping[int, Tracked | None], frames: FrameMap, size: Size, every_frame: bool
) -> list[dict[str, Any]]:
    users = {keyframe.frame: keyframe for keyframe in region.user_keyframes(size) if keyframe.frame in here}
    old = {
        keyframe.frame: dict(keyframe.value) for keyframe in region.keyframes if keyframe.frame not in here
    }
    visible = {number for number, found in here.items() if found is not None or number in users}
    for number in here:
        if number - 1 not in here:
            _join(old, region, number, number in visible)
    new: dict[int, dict[str, Any]] = {}
    for run in _runs(sorted(visible)):
        boxes = np.array([_edges(here[number], users.get(number), size) for number in run])
        forced = [number - run.start for number in run if number in users]
        for row in range(len(run)) if every_frame else needed(boxes, forced):
            number = run[row]
            new[number] = _keyframe(here[number], users.get(number), size, every_frame)
        last = run[-1]
        new[last]["enabled"] = last >= frames.count or last + 1 in old
    merged = {**old, **new}
    return [{**merged[number], "frame": number, "time": number / frames.rate} for number in sorted(merged)]


def _join(old: dict[int, dict[str, Any]], region: VideoRegion, number: int, visible: bool) -> None:
    """Let what the editor shows before `number`, where new keyframes begin, stay as it was."""
    shape = shape_at(region.keyframes, number - 1)
    if number - 1 in old:
        old[number - 1]["enabled"] = visible
    elif shape is not None and number > 1:
        old[number - 1] = {**shape, "enabled": visible, "auto": True, "answered": answered_shape(shape)}


def _runs(numbers: Sequence[int]) -> Iterator[range]:
    start = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield range(numbers[start], number + 1)
            start = place + 1


def _edges(found: Tracked | None, user: Keyframe | None, size: Size) -> Box:
    box = user.box(size) if user else None
    box = box or (found.box if found else None)
    return box or Box(0, 0, 0, 0)


def _keyframe(found: Tracked | None, user: Keyframe | None, size: Size, with_mask: bool) -> dict[str, Any]:
    if user is not None:
        keyframe: dict[str, Any] = {**user.shape, "enabled": True, "answered": answered_shape(user.shape)}
    else:
        assert found is not None
        keyframe = {**_percent(found.box, size), "rotation": 0, "enabled": True, "auto": True}
        if found.counts is None or not with_mask:
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


def _meta(region: VideoRegion, tracked: range | None, notes: Sequence[str]) -> dict[str, Any]:
    meta = region.region.get("meta")
    kept = dict(meta) if isinstance(meta, Mapping) else {}
    text = kept.get("text")
    lines = [line for line in text if not str(line).startswith(OURS)] if isinstance(text, list) else []
    lines += [OURS + note for note in notes if note]
    done = tracked if tracked is not None else region.tracked
    kept.pop("text", None)
    return {
        **kept,
        **({"text": lines} if lines else {}),
        **({"tracked": [done[0], done[-1]]} if done else {}),
    }


def _taken(keyframe: Keyframe, size: Size) -> bool:
    return not keyframe.auto and keyframe.untouched(size)


def _positive(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 < value < float("inf") else None
