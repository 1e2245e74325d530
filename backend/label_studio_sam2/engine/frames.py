"""A video's frames by number or by time, decoded with PyAV only when they are asked for, never written to disk.

Opening a file reads its packets without decoding them: their presentation times, sorted, are the frames. That makes
numbers and times exact whatever the file does: a variable frame rate, B-frames, edit lists, a start time other than
zero. A frame that can't be decoded is answered by the last one before it, which is what a player goes on showing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.types import Pixels, Size

MAX_PIXELS = 100_000_000
WINDOW_BYTES = 256 * 2**20
"""What going backward may hold in memory: a group of pictures can only be decoded forward."""

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,h264,hevc,m4v,ivf,mxf,mjpeg,nut,"
    "mp3,wav,flac,aac"
)
# Playlists could name other files and addresses, and plain text would be read as a terminal's recording.
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """A readable video file: what is known without decoding it. Nothing stays open between calls.

    `size` is upright, after the rotation that phones write; pixels that are not square are not stretched (positions
    in per cent are the same either way). `times` are presentation times in seconds, rising, on a player's clock,
    where 0 is the file's beginning. `duration` (seconds) is what a player shows; `rate` is the mean of frames a
    second. `note` says in a sentence what a file that was cut off lacks, and is empty otherwise.
    """

    path: Path
    size: Size
    duration: float
    rate: float
    times: NDArray[np.float64]
    note: str
    _index: _Index

    @classmethod
    def open(cls, path: Path, *, max_pixels: int = MAX_PIXELS) -> Video:
        """Read what `path` holds. Raises MediaUnreadable for anything but a video, TooLarge above `max_pixels`."""
        with _opened(path) as (container, stream):
            context = stream.codec_context
            if context.width * context.height > max_pixels:
                raise TooLarge(
                    f"The video's frames have {context.width}x{context.height} pixels and {max_pixels} are allowed; "
                    "raise MAX_IMAGE_PIXELS or scale the video down."
                )
            index = _Index.read(container, stream)
            times, rate = index.times(container, stream), index.rate(stream)
            duration = container.duration / av.time_base if container.duration else times[-1] + 1 / rate
            note = index.missing(stream, duration, rate)
        first = next((frame for _, frame in _decoded(path, index, None)), None)
        if first is None:
            raise MediaUnreadable("Not one frame of the video can be decoded; the file is damaged.")
        height, width = (
            (first.width, first.height) if _quarter_turns(first) % 2 else (first.height, first.width)
        )
        return cls(path, Size(height, width), float(duration), rate, times, note, index)

    def __len__(self) -> int:
        return len(self.times)

    def index_at(self, time: float) -> int:
        """The frame that a player shows at `time` seconds: the last one that has begun by then."""
        return max(0, bisect_right(self.times, time) - 1)

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
        for number, frame in _decoded_from(self.path, self._index, start) if start < stop else ():
            for _ in range(due, min(number, stop)):  # frames that did not decode
                yield _upright(shown or frame, self.size)
            due = max(due, min(number, stop))
            if number == due < stop:
                yield _upright(frame, self.size)
                due += 1
            if due >= stop:
                return
            shown = frame
        if shown is None:
            if due < stop:
                raise MediaUnreadable(f"Frame {due} of the video can't be decoded; the file is damaged.")
            return
        for _ in range(due, stop):
            yield _upright(shown, self.size)

    def _backward(self, span: range, window: int) -> Iterator[Pixels]:
        room = max(1, window // (self.size.height * self.size.width * 3))
        upper, last = span.start + 1, span.stop + 1
        while upper > last:
            lower = max(last, self._index.key_before(upper - 1), upper - room)
            yield from reversed(list(self._forward(lower, upper)))
            upper = lower


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """The frames as the packets tell them: presentation stamps in the stream's time base, rising.

    `keys` are the numbers of the frames that can be decoded without others. A stream without stamps (`timed` is
    False) has its frames only counted; there, decoding starts at the beginning.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    packets: int
    timed: bool

    @classmethod
    def read(cls, container: InputContainer, stream: VideoStream) -> _Index:
        stamps: list[int | None] = []
        keys: list[int] = []
        packets = 0
        for packet in _packets(container, stream):
            packets += 1
            if packet.is_discard:
                continue
            stamps.append(packet.pts)
            if packet.is_keyframe and packet.pts is not None:
                keys.append(packet.pts)
        if not stamps:
            raise MediaUnreadable(
                "The video has no frames; the file is empty or was cut off at its beginning."
            )
        if None in stamps or container.format.name == "avi":  # AVI knows no presentation times
            return cls(np.arange(len(stamps)), np.zeros(1, np.int64), packets, timed=False)
        rising = np.unique(np.array(stamps, np.int64))
        return cls(rising, np.searchsorted(rising, np.unique(np.array(keys, np.int64))), packets, timed=True)

    def times(self, container: InputContainer, stream: VideoStream) -> NDArray[np.float64]:
        """Seconds on a player's clock, which starts where the earliest stream of the file does."""
        if not self.timed:
            return np.asarray(np.arange(len(self.stamps)) / self.rate(stream), np.float64)
        seconds = self.stamps * float(stream.time_base or 0)
        begin = max(0.0, (container.start_time or 0) / av.time_base)
        return np.asarray(seconds - min(begin, float(seconds[0])), np.float64)

    def rate(self, stream: VideoStream) -> float:
        """Frames a second on average. Raises MediaUnreadable where the file knows of none."""
        span = float((self.stamps[-1] - self.stamps[0]) * (stream.time_base or 0)) if self.timed else 0.0
        rate = (len(self.stamps) - 1) / span if span > 0 else float(stream.average_rate or 0)
        if rate <= 0 or (self.timed and len(self.stamps) == 1 < self.packets):
            raise MediaUnreadable(
                "The video has 0 frames a second: its frames carry no times. Convert it to MP4."
            )
        return rate

    def missing(self, stream: VideoStream, duration: float, rate: float) -> str:
        """What a file that was cut off lacks, in a sentence."""
        if self.packets < stream.frames:
            return f"The file was cut off: {self.packets} of its {stream.frames} frames can be read."
        alone = len(stream.container.streams) == 1 and not stream.frames
        expected = round(duration * rate)
        if alone and self.packets < 0.95 * expected - 1:
            return f"The file was cut off: {self.packets} of its about {expected} frames can be read."
        return ""

    def key_before(self, number: int) -> int:
        """The last frame, at or before this one, that can be decoded without others."""
        before = self.keys[self.keys <= number]
        return int(before[-1]) if len(before) else 0

    def number(self, frame: VideoFrame, counted: int) -> int:
        if not self.timed or frame.pts is None:
            return counted
        return int(np.searchsorted(self.stamps, frame.pts, side="right")) - 1

    def anchors(self, number: int) -> Iterator[int | None]:
        """Where to start decoding so as to reach this frame: key frames, the nearest first; None: no seeking."""
        if self.timed:
            before = self.keys[self.keys <= number]
            nearest = (*before[-1:], *before[-2:-1], *before[-5:-4])
            yield from (int(key) for key in nearest if key > 0)
        yield None


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its video stream, with a decoder. Raises MediaUnreadable with the reason."""
    try:
        container = av.open(f"file:{path}", options=_OPTIONS)
    except (av.error.FFmpegError, ValueError) as error:
        empty = path.is_file() and path.stat().st_size == 0
        why = "it is empty" if empty else "it is of another kind, or was cut off before its index"
        raise MediaUnreadable(
            f"The file can't be read as a video: {why}. Use a whole MP4 or WebM file."
        ) from error
    with container:
        yield container, _video_stream(container)


def _video_stream(container: InputContainer) -> VideoStream:
    cover = av.stream.Disposition.attached_pic
    stream = next((stream for stream in container.streams.video if not stream.disposition & cover), None)
    if stream is None:
        what = "sound but no picture" if container.streams.audio else "no video stream"
        raise MediaUnreadable(f"The file has {what}; a video is needed.")
    if stream.codec_context is None:
        raise MediaUnreadable("There is no decoder for the video's codec here. Convert it to H.264 in MP4.")
    return stream


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to the file's end or to where it was cut off."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.FFmpegError:
        return


def _decoded_from(path: Path, index: _Index, number: int) -> Iterator[tuple[int, VideoFrame]]:
    """The decodable frames with their numbers, rising, from some frame at or before `number` on.

    A container may seek past the key frame that it was asked for (its index counts decoding times), so the first
    frame that comes out is looked at.
    """
    for anchor in index.anchors(number):
        decoded = _decoded(path, index, anchor)
        first = next(decoded, None)
        if first is not None and (first[0] <= number or anchor is None):
            yield first
            yield from decoded
            return


def _decoded(path: Path, index: _Index, anchor: int | None) -> Iterator[tuple[int, VideoFrame]]:
    last = -1
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        if anchor is not None:
            container.seek(int(index.stamps[anchor]), stream=stream)
        for frame in _frames(container, stream):
            number = index.number(frame, last + 1)
            if last < number < len(index.stamps):
                yield number, frame
                last = number


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """What decodes of the packets; a damaged packet is left out."""
    for packet in chain(_packets(container, stream), (None,)):
        try:
            yield from stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            continue


def _quarter_turns(frame: VideoFrame) -> int:
    """Counter-clockwise quarter turns that bring a frame upright, from the display matrix of its file."""
    return round(frame.rotation / 90) % 4


def _upright(frame: VideoFrame, size: Size) -> Pixels:
    turns = _quarter_turns(frame)
    height, width = size[::-1] if turns % 2 else size
    pixels = frame.reformat(width=width, height=height, format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, turns))
