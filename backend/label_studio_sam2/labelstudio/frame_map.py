"""Label Studio's frame numbers and the frames of a file, matched by time.

The editor counts frames from 1 at the rate that the Video tag states, whatever the file's is. To show frame n it
seeks to (n - 1) / rate, rounded to 2 ms and 2 ms later (VideoCanvas.tsx, frameSteppedTime, of Label Studio 1.23.2),
and the browser shows the last frame that has begun by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SEEK_STEP = 0.002
DEFAULT_RATE = 24.0


@dataclass(frozen=True, eq=False)
class FrameMap:
    """`times` are the presentation times of the file's frames in seconds, rising; `rate` is Label Studio's frames a
    second and `count` how many it counts. Label Studio's frames go from 1 to `count`, the file's from 0."""

    times: NDArray[np.float64]
    rate: float
    count: int

    @cached_property
    def _shown(self) -> NDArray[np.int64]:
        """The file's frame for each of Label Studio's."""
        exact = np.arange(self.count) / self.rate
        sought = np.floor(exact / SEEK_STEP + 0.5) * SEEK_STEP + SEEK_STEP
        begun = np.searchsorted(self.times, sought + 1e-9, side="right") - 1
        return np.maximum(begun, 0)

    def source(self, number: int) -> int:
        """The file's frame that the editor shows as frame `number`; beyond the last, the last."""
        return int(self._shown[min(max(number, 1), self.count) - 1])

    def numbers(self, source: int) -> range:
        """The editor's frames that show this frame of the file: none, one or several."""
        first, end = np.searchsorted(self._shown, [source, source + 1])
        return range(int(first) + 1, int(end) + 1)

    def number(self, source: int) -> int:
        """The editor's frame that shows this frame of the file, or else the nearest one that shows a later one."""
        return min(int(np.searchsorted(self._shown, source)) + 1, self.count)

    def disagreement(self, file_rate: float) -> str:
        """A sentence for the annotator where the tag and the file count differently, else nothing."""
        if abs(self.rate / file_rate - 1) < 5e-4:
            return ""
        return (
            f"The labeling config counts {self.rate:.6g} frames a second, the file has {file_rate:.6g}: frames are "
            f'matched by time. Set framerate="{file_rate:.6g}" on the Video tag to reach every frame.'
        )


def editor_rate(
    given: float | None, frames_count: float | None, duration: float | None, file_rate: float
) -> float:
    """The rate that the editor counted by: of the tag's, the default and the file's the first that agrees with the
    region's own `framesCount` and `duration` (the tag may name task data, as `$fps`), or else what these say."""
    if not frames_count or not duration:
        return given or DEFAULT_RATE
    agreeing = (
        rate for rate in (given, DEFAULT_RATE, file_rate) if rate and abs(rate * duration - frames_count) <= 1
    )
    return next(agreeing, frames_count / duration)
