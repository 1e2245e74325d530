"""A video's frames as its packets tell them, without decoding: which there are, when, and where to start for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from label_studio_sam2.errors import MediaUnreadable
from label_studio_sam2.media_files.container import packets, whole

PLAYED = ("mov", "matroska", "ogg")
"""How the names of the containers that browsers play begin (MP4 and WebM among them)."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameIndex:
    """`stamps` are presentation times in the stream's time base, rising: one for each frame.

    `keys` are the numbers of the frames that can be decoded without others. A stream without stamps (`timed` is
    False) has its frames only counted; there, decoding starts at the beginning.
    """

    stamps: NDArray[np.int64]
    keys: NDArray[np.int64]
    packets: int
    timed: bool

    @classmethod
    def read(cls, container: InputContainer, stream: VideoStream) -> FrameIndex:
        stamps: list[int | None] = []
        keys: list[int] = []
        count = 0
        for packet in packets(container, stream):
            count += 1
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
            return cls(np.arange(len(stamps)), np.zeros(1, np.int64), count, timed=False)
        rising = np.unique(np.array(stamps, np.int64))
        return cls(rising, np.searchsorted(rising, np.unique(np.array(keys, np.int64))), count, timed=True)

    def times(self, container: InputContainer, stream: VideoStream) -> NDArray[np.float64]:
        """Seconds on Chromium's clock: the file's own zero, but never after the first frame. What no browser plays
        counts from where the earliest stream of the file begins."""
        if not self.timed:
            return np.asarray(np.arange(len(self.stamps)) / self.rate(stream), np.float64)
        seconds = self.stamps * float(stream.time_base or 0)
        start = 0.0 if played(container) else _start(container)
        return np.asarray(seconds - min(start, float(seconds[0])), np.float64)

    def begin(self, container: InputContainer) -> float:
        """What Firefox takes from these times: when the earliest stream begins."""
        return _start(container) if self.timed and played(container) else 0.0

    def rate(self, stream: VideoStream) -> float:
        """Frames a second on average. Raises MediaUnreadable where the file knows of none."""
        span = float((self.stamps[-1] - self.stamps[0]) * (stream.time_base or 0)) if self.timed else 0.0
        rate = (len(self.stamps) - 1) / span if span > 0 else float(stream.average_rate or 0)
        if rate <= 0 or (self.timed and len(self.stamps) == 1 < self.packets):
            raise MediaUnreadable(
                "The video has 0 frames a second: its frames carry no times. Convert it to MP4."
            )
        return rate

    def missing(self, path: Path, container: InputContainer, stream: VideoStream) -> str:
        """What a file that was cut off lacks, in a sentence."""
        expected = whole(path, container, stream, self.packets)
        if expected <= self.packets:
            return ""
        seconds = (container.duration or 0) / av.time_base - self.begin(container)
        about = max(expected, round(seconds * self.rate(stream)))
        of = f"about {about}" if played(container) and not stream.frames else str(about)
        return f"The file was cut off: {self.packets} of its {of} frames can be read."

    @property
    def nbytes(self) -> int:
        return self.stamps.nbytes + self.keys.nbytes

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


def played(container: InputContainer) -> bool:
    """Whether browsers play files of its kind."""
    return container.format.name.startswith(PLAYED)


def _start(container: InputContainer) -> float:
    return max(0.0, (container.start_time or 0) / av.time_base)
