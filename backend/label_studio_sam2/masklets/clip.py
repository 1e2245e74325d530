"""A video with its masklets, by the frames that are written: the file's own where it is at hand, else the editor's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

from label_studio_sam2.engine.frames import Video
from label_studio_sam2.labelstudio.frame_map import DEFAULT_RATE, FrameMap, editor_rate
from label_studio_sam2.masklets.export import Annotation
from label_studio_sam2.masklets.masklet import Masklet, Rle, mask_size
from label_studio_sam2.masklets.report import Lack, Report
from label_studio_sam2.types import Size

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames count from 0 to `length` - 1: the file's where there is a `video`, else Label Studio's, less one.

    `frames` are those on which no object's mask is missing: what belongs in a data set. `rate` is frames a second.
    """

    name: str
    annotation: Annotation
    size: Size
    rate: float
    length: int
    frames: tuple[int, ...]
    masklets: tuple[Masklet, ...]
    video: Video | None

    @classmethod
    def of(cls, annotation: Annotation, name: str, video: Video | None, report: Report) -> Clip | None:
        """None where no region has a mask."""
        where = f"{name} (task {annotation.task})"
        size = video.size if video else _size(annotation)
        rate, count = _editor_count(annotation, video)
        read = (
            Masklet.read(region, size or Size(0, 0), count, report, where) for region in annotation.regions
        )
        masklets = [masklet for masklet in read if masklet is not None]
        if size is None or not masklets:
            return None
        numbering = _numbering(video, rate, count)
        masklets = [masklet.renumbered(numbering) for masklet in masklets]
        unknown = frozenset[int]().union(*(masklet.unknown for masklet in masklets))
        stepped_over = sum(not numbers for numbers in numbering)
        frames = tuple(
            frame for frame, numbers in enumerate(numbering) if len(numbers) and frame not in unknown
        )
        report.lack(Lack.NOT_COUNTED, f"{where}: {rate:.6g} frames a second", stepped_over)
        report.lack(Lack.LEFT_OUT, where, len(numbering) - len(frames) - stepped_over)
        return cls(
            name,
            annotation,
            size,
            video.rate if video else rate,
            len(numbering),
            frames,
            tuple(masklets),
            video,
        )

    @property
    def numbered_by(self) -> str:
        """Whose count the frames are, for the written files."""
        return "the video's frames" if self.video else "Label Studio's frames"

    def masks(self, frame: int) -> Iterator[tuple[int, Rle]]:
        """The objects, numbered from 1, that have a mask on this frame."""
        for number, masklet in enumerate(self.masklets, start=1):
            if frame in masklet.masks:
                yield number, masklet.masks[frame]


def media_name(address: str) -> str:
    """The file's name in a task's address, also of a local file's (`?d=folder/name`); empty where it has none."""
    if address[:5].lower() == "data:":
        return ""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [""])[0] if "/data/local-files" in parts.path else ""
    return PurePosixPath(local or parts.path).name


def without_upload_prefix(name: str) -> str:
    return UPLOAD_PREFIX.sub("", name)


def folder_name(annotation: Annotation, taken: set[str]) -> str:
    """A name for the clip's files that no other has: the video's, with task and annotation where that isn't enough."""
    stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(media_name(annotation.address)).stem).strip("._")
    task = f"task-{annotation.task}"
    wishes = [
        stem or task,
        f"{stem or task}-{annotation.task}",
        f"{stem or task}-{annotation.task}-{annotation.id}",
    ]
    wishes += (f"{wishes[-1]}-{place}" for place in range(2, len(taken) + 3))
    name = next(wish for wish in wishes if wish.lower() not in taken)
    taken.add(name.lower())
    return name


def _size(annotation: Annotation) -> Size | None:
    """What most masks have."""
    sizes = Counter(
        mask_size(keyframe)
        for region in annotation.regions
        for keyframe in region.keyframes
        if "rle" in keyframe.value
    )
    del sizes[None]
    return sizes.most_common(1)[0][0] if sizes else None


def _editor_count(annotation: Annotation, video: Video | None) -> tuple[float, int]:
    """The frames a second by which Label Studio counted, and how many frames that makes."""
    counted = next((one for one in annotation.regions if one.frames_count and one.duration), None)
    frames_count, duration = (counted.frames_count, counted.duration) if counted else (None, None)
    if video:
        rate = editor_rate(None, frames_count, duration, video.rate)
        frames_count = frames_count or ceil(video.duration * rate)
    else:
        rate = frames_count / duration if frames_count and duration else DEFAULT_RATE
    last = max((keyframe.frame for one in annotation.regions for keyframe in one.keyframes), default=1)
    given = max((one.frames_count or 0 for one in annotation.regions), default=0)
    return rate, max(frames_count or 0, given, last)


def _numbering(video: Video | None, rate: float, count: int) -> Sequence[range]:
    """For each frame that is written, Label Studio's frames that show it."""
    if video is None:
        return [range(number, number + 1) for number in range(1, count + 1)]
    frames = FrameMap(video.times, rate, count)
    return [frames.numbers(source) for source in range(len(video))]
