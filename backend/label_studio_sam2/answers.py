"""Finished answers as JSON: those that a request still waits for, and those that came too late for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from time import monotonic

ANSWER_BYTES = 256 << 20
"""Of one answer's masks; a task that doesn't fit is handed over like one that isn't ready."""

KEPT_BYTES = 128 << 20
"""Of answers that wait to be asked for again; the oldest go first."""


UNDER_WAY_SECONDS = 100.0
"""How long an answer may be on its way into Label Studio's database: its own patience."""


class Deliveries:
    """Which tasks' masks were handed over just now, so that two requests for one task don't both deliver them.

    Whoever delivers holds `lock`.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self._at: dict[Hashable, float] = {}

    def note(self, name: Hashable) -> None:
        now = monotonic()
        self._at = {one: at for one, at in self._at.items() if now - at < UNDER_WAY_SECONDS} | {name: now}

    def recent(self, name: Hashable) -> bool:
        return monotonic() - self._at.get(name, -UNDER_WAY_SECONDS) < UNDER_WAY_SECONDS


class Kept:
    """Answers that came too late and can't be stored, by what was asked; bounded, and taken once."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def put(self, key: str, entry: bytes) -> None:
        with self._lock:
            self._entries[key] = entry
            while sum(map(len, self._entries.values())) > KEPT_BYTES:
                self._entries.popitem(last=False)

    def take(self, key: str) -> bytes | None:
        with self._lock:
            return self._entries.pop(key, None)


class Answers:
    """What a request's tasks are answered with, as JSON, until the request stops waiting."""

    def __init__(self) -> None:
        self._entries: dict[int, bytes] = {}
        self._closed = False
        self._lock = Lock()

    def give(self, place: int, entry: bytes) -> bool:
        """Whether the request still takes it."""
        with self._lock:
            room = sum(map(len, self._entries.values())) + len(entry) <= ANSWER_BYTES
            if self._closed or not room:
                return False
            self._entries[place] = entry
            return True

    @property
    def closed(self) -> bool:
        with self._lock:
            return self._closed

    def close(self) -> dict[int, bytes]:
        with self._lock:
            self._closed = True
            return self._entries
