"""Videorectangle regions: read as what to track, and written with what was tracked.

A track is a keyframe a frame: the tight box, `auto`, the model's `score`, and the mask as COCO RLE under `rle`, which
Label Studio keeps through saving and export. The annotator's own keyframes stay as they are, with the mask added.
A frame on which the object isn't visible has no keyframe, and the one before it has `enabled: false`. So has one that
the annotator switched off: there the track ends, whatever is visible behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.regions import doubts
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.labelstudio.regions.keyframes import Keyframe, parse_sequence, shape_at
from label_studio_sam2.labelstudio.regions.lifespan import Lifespan
from label_studio_sam2.labelstudio.regions.tracks import Results, sequence
from label_studio_sam2.labelstudio.regions.values import shape_of
from label_studio_sam2.types import Prompt, Size

OURS = "SAM 2: "
"""How our lines in a region's `meta.text` begin, so that the next answer can replace them."""


@dataclass(frozen=True, slots=True)
class VideoRegion:
    """One object of a video, with what the editor `counted`."""

    id: str
    from_name: str
    to_name: str
    labels: tuple[str, ...]
    counted: Counted
    keyframes: tuple[Keyframe, ...]
    region: Region
    _users: dict[Size, tuple[Keyframe, ...]] = field(default_factory=dict, compare=False, repr=False)

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
            counted=Counted.of(value),
            keyframes=keyframes,
            region=region,
        )

    def user_keyframes(self, size: Size) -> tuple[Keyframe, ...]:
        """What the annotator drew, moved or added: the prompts."""
        if size not in self._users:
            self._users[size] = tuple(
                one for one in self.keyframes if not one.tracked(size) and not self._only_ends(one, size)
            )
        return self._users[size]

    def lifespan(self, size: Size, count: int, most: int | None = None) -> Lifespan:
        """Where the annotator lets it begin and end on the editor's `count` frames; see `Lifespan`. That the only
        drawn one is switched off says nothing to whoever asks for a track."""
        drawn = tuple(one.frame for one in self.user_keyframes(size) or self.keyframes[:1])
        ends = (one.frame for one in self.keyframes if one.ends(size))
        return Lifespan(drawn, tuple(end for end in ends if drawn != (end,)), count, most)

    def _only_ends(self, keyframe: Keyframe, size: Size) -> bool:
        """Whether it is one that switching the object off put there, with the box that the editor showed already."""
        if not keyframe.ends(size):
            return False
        others = [one for one in self.keyframes if one is not keyframe]
        return keyframe.resembles(shape_at(others, keyframe.frame), size)

    def corrections(self, size: Size) -> tuple[Keyframe, ...]:
        """Of these, what no answer has taken into account yet."""
        return tuple(keyframe for keyframe in self.user_keyframes(size) if not _taken(keyframe, size))

    def mask_prompt(self, frame: int, size: Size) -> Prompt | None:
        """The mask that stands on one of the editor's frames, as a prompt; None where there is none."""
        keyframe = next((one for one in self.keyframes if one.frame == frame), None)
        return keyframe.mask_prompt(size) if keyframe else None

    @property
    def label_kept(self) -> tuple[str, ...]:
        """Its labels, or those of the last answer: the editor takes a label off that is clicked to correct a track."""
        meta = self.region.get("meta")
        kept = meta.get("labels") if isinstance(meta, Mapping) else None
        return self.labels or (tuple(map(str, kept)) if isinstance(kept, list) else ())

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


def with_tracked(
    region: VideoRegion,
    results: Results,
    frames: FrameMap,
    size: Size,
    lifespan: Lifespan | None = None,
    *,
    every_frame: bool = True,
    tracked: range | None = None,
    look_at: Collection[int] = (),
    notes: Sequence[str] = (),
) -> Region:
    """The region with what was tracked: the same id, on the frames of `results` new keyframes, elsewhere the old.

    `results` are by the file's frames. Where `every_frame` is False, keyframes are thinned to what the editor's
    interpolation needs within a pixel. `lifespan` is what it is where the project doesn't limit it, `tracked` says
    which of the editor's frames are done by now, `look_at` which of `results` are doubtful, and `notes` are sentences
    for the region's Info panel.
    """
    scores = [found.score for found in results.values() if found is not None]
    lifespan = lifespan or region.lifespan(size, frames.count)
    unchanged = (n for n in doubts.listed(region.region.get("meta")) if frames.source(n) not in results)
    doubtful = doubts.spans(n for n in {*look_at, *unchanged} if lifespan.follows(n))
    answered: Region = {
        **region.region,
        "type": "videorectangle",
        "value": {
            "framesCount": frames.count,
            "duration": region.counted.duration or frames.count / frames.rate,
            "sequence": sequence(
                region.keyframes,
                region.user_keyframes(size),
                results,
                frames,
                size,
                lifespan=lifespan,
                every_frame=every_frame,
                look_at=look_at,
            ),
            **({"labels": list(region.label_kept)} if region.label_kept else {}),
        },
        "meta": _meta(region, tracked, doubtful, [doubts.sentence(doubtful), *notes]),
    }
    return {**answered, "score": round(float(np.mean(scores)), 4)} if scores else answered


def _meta(
    region: VideoRegion, tracked: range | None, doubtful: list[list[int]], notes: Sequence[str]
) -> dict[str, Any]:
    meta = region.region.get("meta")
    kept = dict(meta) if isinstance(meta, Mapping) else {}
    text = kept.get("text")
    lines = [line for line in text if not str(line).startswith(OURS)] if isinstance(text, list) else []
    lines += [OURS + note for note in notes if note]
    done = tracked if tracked is not None else region.tracked
    for ours in ("text", doubts.LOOK_AT):
        kept.pop(ours, None)
    return {
        **kept,
        **({"text": lines} if lines else {}),
        **({"tracked": [done[0], done[-1]]} if done else {}),
        **({doubts.LOOK_AT: doubtful} if doubtful else {}),
        **({"labels": list(region.label_kept)} if region.label_kept else {}),
    }


def _taken(keyframe: Keyframe, size: Size) -> bool:
    return not keyframe.auto and keyframe.untouched(size)
