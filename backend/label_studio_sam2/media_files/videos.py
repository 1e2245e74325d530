"""A video's frames by number or by time, decoded with PyAV only when they are asked for, never written to disk.

Opening a file reads its packets without decoding them: their presentation times, sorted, are the frames. That makes
numbers and times exact whatever the file does: a variable frame rate, B-frames, edit lists, a start time other than
zero. A frame that can't be decoded is answered by the last one before it, which is what a player goes on showing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.media_files.container import decode, naming_damage, open_video
from label_studio_sam2.media_files.frame_index import FrameIndex
from label_studio_sam2.types import Pixels, Size

MAX_PIXELS = 100_000_000
UNSPECIFIED = 2
"""What stands for "not known" in a frame's colour tags (ISO/IEC 23091-2)."""

WINDOW_BYTES = 256 * 2**20
"""What going backward may hold in memory: a group of pictures can only be decoded forward."""


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A readable video file: what is known without decoding it. Nothing stays open between calls.

    `size` is upright, after the rotation that phones write; pixels that are not square are not stretched (positions
    in per cent are the same either way). `times` are presentation times in seconds, rising, on Chromium's clock, where
    0 is the file's own; Firefox takes `begin` from them. `duration` (seconds) is what the file says that a player
    shows; `rate` is the mean of frames a second. `note` says in a sentence what a file that was cut off lacks, and is
    empty otherwise.
    """

    path: Path
    size: Size
    duration: float
    rate: float
    times: NDArray[np.float64]
    begin: float
    note: str
    _index: FrameIndex

    @classmethod
    def open(cls, path: Path, *, max_pixels: int = MAX_PIXELS) -> Video:
        """Read what `path` holds. Raises MediaUnreadable for anything but a video, TooLarge above `max_pixels`."""
        with open_video(path) as (container, stream):
            context = stream.codec_context
            if context.width * context.height > max_pixels:
                raise TooLarge(
                    f"The video's frames have {context.width}x{context.height} pixels and {max_pixels} are allowed; "
                    "raise MAX_IMAGE_PIXELS or scale the video down."
                )
            index = FrameIndex.read(container, stream)
            times, rate = index.times(container, stream), index.rate(stream)
            duration = container.duration / av.time_base if container.duration else times[-1] + 1 / rate
            begin, note = index.begin(container), index.missing(path, container, stream)
        first = next((frame for _, frame in _numbered(path, index, None)), None)
        if first is None:
            raise MediaUnreadable("Not one frame of the video can be decoded; the file is damaged.")
        height, width = (
            (first.width, first.height) if _quarter_turns(first) % 2 else (first.height, first.width)
        )
        return cls(path, Size(height, width), float(duration), rate, times, begin, note, index)

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return self.times.nbytes + self._index.nbytes

    def __len__(self) -> int:
        return len(self.times)

    def frame(self, index: int) -> Pixels:
        """One frame, upright RGB (H, W, 3)."""
        return next(self.frames(range(index, index + 1)))

    def frames(self, span: range, *, window: int = WINDOW_BYTES) -> Iterator[Pixels]:
        """The frames of `span`, whose step is 1 or -1, in its order; backward, `window` bytes of them are held."""
        if span and (min(span) < 0 or max(span) >= len(self)):
            raise IndexError(f"frames {span[0]} to {span[-1]} of a video of {len(self)}")
        return self._forward(span.start, span.stop) if span.step > 0 else self._backward(span, window)

    def _forward(self, start: int, stop: int) -> Iterator[Pixels]:
        due, shown = start, None
        upright = _Upright(self.size)
        for number, frame in _decoded_from(self.path, self._index, start) if start < stop else ():
            for _ in range(due, min(number, stop)):  # frames that did not decode
                yield upright(shown or frame)
            due = max(due, min(number, stop))
            if number == due < stop:
                yield upright(frame)
                due += 1
            if due >= stop:
                return
            shown = frame
        if shown is None:
            if due < stop:
                raise MediaUnreadable(f"Frame {due} of the video can't be decoded; the file is damaged.")
            return
        for _ in range(due, stop):
            yield upright(shown)

    def _backward(self, span: range, window: int) -> Iterator[Pixels]:
        room = max(1, window // (self.size.height * self.size.width * 3))
        upper, last = span.start + 1, span.stop + 1
        while upper > last:
            lower = max(last, self._index.key_before(upper - 1), upper - room)
            yield from reversed(list(self._forward(lower, upper)))
            upper = lower


def _decoded_from(path: Path, index: FrameIndex, number: int) -> Iterator[tuple[int, VideoFrame]]:
    """The decodable frames with their numbers, rising, from some frame at or before `number` on.

    A container may seek past the key frame that it was asked for (its index counts decoding times), so the first
    frame that comes out is looked at.
    """
    for anchor in index.anchors(number):
        numbered = _numbered(path, index, anchor)
        first = next(numbered, None)
        if first is not None and (first[0] <= number or anchor is None):
            yield first
            yield from numbered
            return


def _numbered(path: Path, index: FrameIndex, anchor: int | None) -> Iterator[tuple[int, VideoFrame]]:
    last = -1
    with open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        if anchor is not None:
            try:
                container.seek(int(index.stamps[anchor]), stream=stream)
            except av.error.FFmpegError:  # what it seeks by is damaged: whoever asks tries an earlier one
                return
        for frame in decode(container, stream):
            number = index.number(frame, last + 1)
            if last < number < len(index.stamps):
                yield number, frame
                last = number


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring a frame upright, from the display matrix of its file."""
    return round(frame.rotation / 90) % 4


@dataclass(frozen=True)
class _Upright:
    """Makes pictures of decoded frames; what it needs to convert them is set up once."""

    size: Size
    converter: VideoReformatter = field(default_factory=VideoReformatter)

    def __call__(self, frame: VideoFrame) -> Pixels:
        turns = _quarter_turns(frame)
        height, width = self.size[::-1] if turns % 2 else self.size
        try:
            rgb = self.converter.reformat(frame, width, height, "rgb24")
        except av.error.FFmpegError:  # its colours may be tagged with damaged numbers: the pixels are there
            frame.colorspace = frame.color_trc = frame.color_primaries = UNSPECIFIED
            with naming_damage():
                rgb = self.converter.reformat(frame, width, height, "rgb24")
        pixels = rgb.to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, turns))
