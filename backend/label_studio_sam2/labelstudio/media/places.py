"""How many may wait for one host at once, so that a slow one doesn't hold everybody's threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from label_studio_sam2.errors import Busy

WAIT_SECONDS = 1.0
"""For a place: a fast host's come free within it."""


class Places:
    """A few for each host, and no more than `in_all`."""

    def __init__(self, per_host: int, in_all: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._per_host = per_host
        self._in_all = in_all
        self._wait_seconds = wait_seconds
        self._taken: Counter[str] = Counter()
        self._changed = Condition()

    @contextmanager
    def taken(self, host: str) -> Iterator[None]:
        """One, for as long as the block runs. Raises Busy where none comes free."""

        def free() -> bool:
            return self._taken[host] < self._per_host and self._taken.total() < self._in_all

        with self._changed:
            if not self._changed.wait_for(free, self._wait_seconds):
                raise Busy(
                    f"{host} is slow, and {self._taken[host]} downloads from it are under way already: try again "
                    "soon, and see whether it is overloaded."
                )
            self._taken[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[host] -= 1
                self._taken += Counter()  # forgets hosts that nobody waits for
                self._changed.notify_all()
