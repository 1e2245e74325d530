"""A service whose tracks fail on their way, as they do on a device that is out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from label_studio_sam2.context import Context
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.types import FrameMask

from tests.fakes.settings import settings


class FailingTracks(Context):
    """Each track raises `error` after so many `frames`, until it is None."""

    def __init__(self, **given: Any) -> None:
        super().__init__(settings(**given))
        self.error: BaseException | None = None
        self.frames = 0
        self.tracks = 0

    def segmenter(self) -> Segmenter:
        opened = super().segmenter()
        failing: Segmenter = _Failing(opened, self)  # type: ignore[assignment]
        return failing


class _Failing:
    """A segmenter in all but its tracks."""

    def __init__(self, opened: Segmenter, context: FailingTracks) -> None:
        self._opened = opened
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def track(self, *given: Any) -> Iterator[tuple[FrameMask, ...]]:
        return self._failing(self._opened.track(*given))

    def track_pictures(self, *given: Any) -> Iterator[tuple[FrameMask, ...]]:
        return self._failing(self._opened.track_pictures(*given))

    def _failing(self, tracked: Iterator[tuple[FrameMask, ...]]) -> Iterator[tuple[FrameMask, ...]]:
        self._context.tracks += 1
        for done, masks in enumerate(tracked):
            if self._context.error is not None and done == self._context.frames:
                raise self._context.error
            yield masks
