"""On which of the editor's frames an object of a video is followed, and on which it is switched off.

The annotator says it with keyframes: each that was drawn begins, or goes on, and one that is switched off
("Toggle Interpolation" in the editor) ends, up to the next that was drawn. A project may say how far a track goes
from where it was drawn at most.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Lifespan:
    """The editor's frames, from 1 to `count`, that the annotator drew the object on and that `ends` it, each rising;
    `most` frames are followed from each drawn one at most, where that is said."""

    drawn: tuple[int, ...]
    ends: tuple[int, ...]
    count: int
    most: int | None = None

    @cached_property
    def spans(self) -> list[range]:
        """The frames to follow, rising: from each drawn one on, those that meet as one."""
        return self._spans(self.most)

    @property
    def stop(self) -> int:
        """Behind the last frame that the annotator lets the object live on."""
        return self._spans(None)[-1].stop

    @property
    def cut_short(self) -> bool:
        """Whether the track ends before the object, because the project says so."""
        return self.spans[-1].stop < self.stop

    @cached_property
    def before(self) -> range:
        """The frames to follow backward, from the first drawn one on, falling."""
        first = min(self.drawn[0], self.count)
        return range(first - 1, 0 if self.most is None else max(0, first - self.most), -1)

    def follows(self, number: int) -> bool:
        """Whether a track may put the object on a frame."""
        return number in self.before or any(number in span for span in self.spans)

    def hides(self, number: int) -> bool:
        """Whether the annotator has switched the object off there."""
        before = bisect_left(self.ends, number)
        if not before:
            return False
        end = self.ends[before - 1]
        return not any(end < drawn <= number for drawn in self.drawn)

    def _spans(self, most: int | None) -> list[range]:
        found: list[range] = []
        for span in self._from_each(most):
            if found and span.start <= found[-1].stop:
                found[-1] = range(found[-1].start, max(found[-1].stop, span.stop))
            else:
                found.append(span)
        return found

    def _from_each(self, most: int | None) -> Iterator[range]:
        for drawn in self.drawn:
            begin = min(drawn, self.count)
            end = min(next((end for end in self.ends if end >= begin), self.count), self.count)
            yield range(begin, (end if most is None else min(end, begin + most - 1)) + 1)
