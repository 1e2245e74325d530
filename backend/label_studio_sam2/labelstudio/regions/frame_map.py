"""What a frame is: Label Studio's frame numbers and the frames of a file, matched by time. Decided here for all.

The editor counts frames from 1 at the rate that the Video tag states, whatever the file's is. To show frame n it
seeks to (n - 1) / rate, rounded to 2 ms and 2 ms later (VideoCanvas.tsx, frameSteppedTime, of Label Studio 1.23.2),
and the browser shows the last frame that has begun by then. It counts round(duration * rate) frames, half upward.

When a frame begins is a matter of browsers where a file's first frame begins late: Chromium counts from the file's
zero, Firefox from the first frame. Which of them a region was drawn in, its duration may tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.config.controls import DEFAULT_FRAME_RATE, MOST_FRAME_RATE
from label_studio_sam2.media_files.videos import Video

SEEK_STEP = 0.002
READ_AHEAD = 2.5
"""Seconds that Chromium has read of a video once it shows it. One that ends within them is known to end later than
its header says, if it begins later than 0 (measured: 2.44 s for 2.4 s from 0.08 s on, but 3 s for 3 s)."""

HELD = 250
"""Of the editor's frames that show one of the file's: where there are more, the mask isn't repeated on each."""

BEYOND = 10**15
"""Frames or seconds that no video has."""

SAME = 0.005
"""Seconds by which two durations of the same video may differ."""


class Counted(NamedTuple):
    """What a region says of the editor's count: how many frames, and the seconds that the browser gave the video."""

    frames: int | None = None
    duration: float | None = None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Counted:
        """From a region's value; what is no positive number counts as not said."""
        return cls(int(_positive(value.get("framesCount")) or 0) or None, _positive(value.get("duration")))


@dataclass(frozen=True, eq=False)
class FrameMap:
    """`times` are the presentation times of the file's frames in seconds, rising, on the browser's clock; `rate` is
    Label Studio's frames a second and `count` how many it counts. Label Studio's frames go from 1 to `count`, the
    file's from 0. `note` says in a sentence what can't be told about them."""

    times: NDArray[np.float64]
    rate: float
    count: int
    note: str = ""

    @classmethod
    def of(cls, video: Video, given: float | None, counted: Counted) -> FrameMap:
        """The frames as the editor counts them where its tag has the rate `given`, and a region says what it counted.

        Raises PromptError where the region counts more frames than the video can have.
        """
        longest = max(video.duration, float(video.times[-1]))
        if counted.frames and counted.frames > MOST_FRAME_RATE * (longest + 1):
            raise PromptError(
                f'"framesCount" is {counted.frames}, but the video has {len(video)} frames in {longest:.6g} s. Send '
                "the frames that the editor counts: duration times framerate."
            )
        late, note = _lateness(video, counted)
        rate = editor_rate(given, counted, video)
        if rate > MOST_FRAME_RATE:
            raise PromptError(
                f'"framesCount" {counted.frames} and "duration" {counted.duration:g} make {rate:g} frames a second. '
                "Send them as the editor does: duration times framerate is framesCount."
            )
        count = counted.frames or editor_count(video.duration, rate)
        frames = cls(video.times - late, rate, count)
        other = cls(video.times - (0.0 if late else video.begin), rate, count)
        return cls(frames.times, rate, count, "" if np.array_equal(frames.begins, other.begins) else note)

    @cached_property
    def begins(self) -> NDArray[np.int64]:
        """The editor's frame from which on each of the file's frames is shown, or would be but for later ones."""
        steps = np.ceil((self.times - 1e-9) / SEEK_STEP - 1)
        numbers = np.ceil((steps - 0.5) * SEEK_STEP * self.rate).astype(np.int64) + 1
        numbers += _sought(numbers, self.rate) < self.times  # a product that came out a little too small
        numbers -= _sought(numbers - 1, self.rate) >= self.times
        numbers[0] = 1  # the browser shows the first frame before it begins, too
        return np.clip(numbers, 1, self.count + 1)

    @property
    def end(self) -> int:
        """The last of the editor's frames that a keyframe stands on."""
        return self.keyframes(self.source(self.count))[-1]

    def keyframes(self, source: int) -> Sequence[int]:
        """Of the editor's frames that show this frame of the file, those that need a keyframe: all, or the first and
        the last where there are very many. The file's last frame is over when its time is, whatever is counted."""
        shown = self.numbers(source)
        if source == len(self.times) - 1 and shown:
            pace = np.median(np.diff(self.times)) if source else 0.0
            shown = shown[: max(1, round(float(pace) * self.rate))]
        return shown if len(shown) <= HELD else (shown[0], shown[-1])

    def source(self, number: int) -> int:
        """The file's frame that the editor shows as frame `number`; beyond the last, the last."""
        within = min(max(number, 1), self.count)
        return int(np.searchsorted(self.begins, within, side="right")) - 1

    def numbers(self, source: int) -> range:
        """The editor's frames that show this frame of the file: none, one or several."""
        end = self.count + 1 if source + 1 >= len(self.begins) else int(self.begins[source + 1])
        return range(int(self.begins[source]), end)

    def number(self, source: int) -> int:
        """The editor's frame that shows this frame of the file, or else the nearest one that shows a later one."""
        return min(int(self.begins[source]), self.count)

    def disagreement(self, file_rate: float) -> str:
        """A sentence for the annotator where the tag and the file count differently, else nothing."""
        if abs(self.rate / file_rate - 1) < 5e-4:
            return ""
        return (
            f"The labeling config counts {self.rate:.6g} frames a second, the file has {file_rate:.6g}: frames are "
            f'matched by time. Set framerate="{file_rate:.6g}" on the Video tag to reach every frame.'
        )


def editor_count(duration: float, rate: float) -> int:
    """How many frames the editor counts: JavaScript's Math.round, which takes a half upward."""
    return max(1, math.floor(duration * rate + 0.5))


def editor_rate(given: float | None, counted: Counted, video: Video) -> float:
    """The rate that the editor counted by: of the tag's, the default and the file's the first that agrees with what
    the region counted (the tag may have been changed since), or else what that says."""
    frames, duration = counted
    if not frames or not duration:
        return given or DEFAULT_FRAME_RATE
    # Chromium lengthens a video that begins late while it reads it; frames are counted before that.
    shortest = min(duration, video.duration) if video.begin else duration
    agreeing = (
        rate
        for rate in (given, DEFAULT_FRAME_RATE, video.rate)
        if rate and rate * shortest - 1 <= frames <= rate * duration + 1
    )
    return next(agreeing, frames / duration)


def _lateness(video: Video, counted: Counted) -> tuple[float, str]:
    """What the browser takes from the file's own times, in seconds, and a sentence where that is a guess."""
    sent, begin = counted.duration, video.begin
    if sent is not None and abs(sent - (video.duration - begin)) <= SAME < begin:
        return begin, ""  # Matroska's and WebM's own duration counts from zero
    if sent is not None and sent > video.duration + SAME:
        return 0.0, ""
    counts_from_zero = video.duration > video.times[-1]
    if sent is not None and not counts_from_zero and video.duration <= READ_AHEAD:
        return begin, ""
    return 0.0, (
        f"The video's first frame begins {begin:.6g} s late, which Chromium counts and Firefox doesn't: frames are "
        "matched as Chromium shows them. Convert the video so that it begins at 0, or label in Chromium."
    )


def _sought(numbers: NDArray[np.int64], rate: float) -> NDArray[np.float64]:
    """The times that the editor seeks to for its frames."""
    exact = (numbers - 1) / rate
    return np.asarray(np.floor(exact / SEEK_STEP + 0.5) * SEEK_STEP + SEEK_STEP + 1e-9)


def _positive(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(min(value, BEYOND)) if number and value > 0 else None
