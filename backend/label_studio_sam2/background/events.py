"""Events that come in storms: what each asks for is done once, soon, for all that came meanwhile. They take no job's
place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from threading import Condition, Thread
from time import monotonic

log = logging.getLogger(__name__)

EVENTS_SECONDS = 10.0
"""Between two looks that one key asks for."""

MOST_KEYS = 1000
"""That wait for their look at once; an event of one more is dropped, and its next one tells the same."""


class Events:
    """Safe to use from any thread. `seconds` lie between two looks of one key."""

    def __init__(self, seconds: float = EVENTS_SECONDS) -> None:
        self._seconds = seconds
        self._changed = Condition()
        self._waiting: dict[Hashable, Callable[[], object]] = {}
        self._not_before: dict[Hashable, float] = {}
        self._closed = False
        self._running = False

    @property
    def waiting(self) -> int:
        """How many keys wait for their look."""
        with self._changed:
            return len(self._waiting)

    def note(self, key: Hashable, look: Callable[[], object]) -> None:
        """Has `look` called once, in a thread, unless one of the same key is waiting already. Returns at once."""
        with self._changed:
            if key in self._waiting or len(self._waiting) >= MOST_KEYS or self._closed:
                return
            self._waiting[key] = look
            self._changed.notify_all()
            if not self._running:
                self._running = True
                Thread(target=self._run, name="events", daemon=True).start()

    def close(self) -> None:
        """Nothing is begun any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (look := self._next()) is not None:
            try:
                look()
            except Exception:  # an event is only a hint
                log.exception("an event's look failed")

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            while self._waiting and not self._closed:
                now = monotonic()
                self._not_before = {key: at for key, at in self._not_before.items() if at > now}
                first = min(self._waiting, key=lambda key: self._not_before.get(key, now))
                wait = self._not_before.get(first, now) - now
                if wait <= 0:
                    self._not_before[first] = now + self._seconds
                    return self._waiting.pop(first)
                self._changed.wait(wait)
            self._running = False
            return None
