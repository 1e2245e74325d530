"""A bound in bytes on what all threads together hold in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.errors import Busy

WAIT_SECONDS = 60.0


class Room:
    """So many bytes, handed out to who asks. While half are left, one who wants more than there are gets in alone."""

    def __init__(self, size: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._size = size
        self._wait_seconds = wait_seconds
        self._taken = 0
        self._held = 0
        self._changed = Condition()

    @contextmanager
    def taken(self, size: int, what: str) -> Iterator[None]:
        """For as long as the block runs. Raises Busy where there is no room in time for `what`."""
        self._take(size, what)
        try:
            yield
        finally:
            self._count(-size, 0)

    def held_by(self, pixels: NDArray[np.uint8]) -> None:
        """What an array takes, until nobody refers to it any more. Never waits: the array is there already."""
        self._count(0, pixels.nbytes)
        weakref.finalize(pixels, self._count, 0, -pixels.nbytes).atexit = False

    def _take(self, size: int, what: str) -> None:
        def free() -> bool:
            alone = not self._taken and self._held <= self._size / 2
            return alone or self._taken + self._held + size <= self._size

        with self._changed:
            if not self._changed.wait_for(free, self._wait_seconds):
                raise Busy(f"There is no memory left for {what} while others are decoded: try again soon.")
            self._taken += size

    def _count(self, taken: int, held: int) -> None:
        with self._changed:
            self._taken += taken
            self._held += held
            self._changed.notify_all()
