"""A video with its masklets, by the frames that are written: the file's own where it is at hand, else the editor's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from label_studio_sam2.errors import PromptError
from label_studio_sam2.exports.masklets.annotation import Annotation
from label_studio_sam2.exports.masklets.masklet import Masklet, mask_size
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.rle import Rle
from label_studio_sam2.labelstudio.config.controls import DEFAULT_FRAME_RATE
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Size

MOST_FRAMES = 2_000_000
"""A day at 24 frames a second: without a video that bounds them, more would fill the memory."""


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
        try:
            rate, numbering = _numbering(annotation, video)
        except PromptError as error:
            report.lack(Lack.UNREADABLE_REGION, f"{where}: {error.detail}")
            return None
        size = video.size if video else _size(annotation)
        read = (
            Masklet.read(region, size or Size(0, 0), numbering, report, where)
            for region in annotation.regions
        )
        masklets = [masklet for masklet in read if masklet is not None]
        if size is None or not masklets:
            return None
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


def _numbering(annotation: Annotation, video: Video | None) -> tuple[float, Sequence[range]]:
    """The frames a second by which Label Studio counted, and for each frame that is written those of its frames that
    show it. Raises PromptError where a count of frames is no video's."""
    every = [region.counted for region in annotation.regions]
    counted = next((one for one in every if one.frames and one.duration), Counted())
    last = max((keyframe.frame for one in annotation.regions for keyframe in one.keyframes), default=1)
    last = max([last, *(one.frames or 0 for one in every)])
    if video:
        frames = FrameMap.of(video, None, counted)
        frames = replace(frames, count=max(frames.count, last))
        return frames.rate, [frames.numbers(source) for source in range(len(video))]
    if last > MOST_FRAMES:
        raise PromptError(f"A region has a frame beyond {MOST_FRAMES}: give the video too, with --videos.")
    rate = counted.frames / counted.duration if counted.frames and counted.duration else DEFAULT_FRAME_RATE
    return rate, [range(number, number + 1) for number in range(1, last + 1)]
