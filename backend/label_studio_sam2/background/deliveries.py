"""How a task's masks reach whoever wants them: answered to a request that waits, stored in Label Studio, or kept.

Each task has one state at a time, so that two requests for one task don't both deliver its masks:

    nothing  --give-->     GIVEN     an answer is on its way into Label Studio's database
    nothing  --storing-->  STORING   somebody is talking to Label Studio
    STORING  --stored-->   STORED    a prediction was made a moment ago
    STORING  --failed-->   nothing

No lock is held while somebody talks to Label Studio.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum, auto
from threading import Lock

from cachetools import LRUCache, TTLCache

ANSWER_BYTES = 256 << 20
"""Of one answer's masks; a task that doesn't fit is handed over like one that isn't ready."""

KEPT_BYTES = 128 << 20
"""Of answers that wait to be asked for again; the oldest go first."""

UNDER_WAY_SECONDS = 100.0
"""How long an answer may be on its way into Label Studio's database: its own patience."""

TASKS = 100_000
"""Whose states are remembered at once; each for as long as that."""


class State(Enum):
    GIVEN = auto()
    STORING = auto()
    STORED = auto()


class Waiting:
    """What a request's tasks are answered with, as JSON by their place in it, until the request stops waiting."""

    def __init__(self) -> None:
        self._entries: dict[int, bytes] = {}
        self._nbytes = 0
        self._closed = False
        self._lock = Lock()

    def take(self, place: int, entry: bytes) -> bool:
        """Whether the request still takes it."""
        with self._lock:
            if self._closed or self._nbytes + len(entry) > ANSWER_BYTES:
                return False
            self._entries[place] = entry
            self._nbytes += len(entry)
            return True

    @property
    def closed(self) -> bool:
        with self._lock:
            return self._closed

    def close(self) -> dict[int, bytes]:
        with self._lock:
            self._closed = True
            return self._entries


class Deliveries:
    """The tasks' states, and the answers that came too late and can't be stored. Safe to use from any thread."""

    def __init__(self) -> None:
        self._states: TTLCache[Hashable, State] = TTLCache(TASKS, UNDER_WAY_SECONDS)
        self._kept: LRUCache[str, bytes] = LRUCache(KEPT_BYTES, getsizeof=len)
        self._lock = Lock()

    def give(self, task: Hashable, take: Callable[[], bool], there: Callable[[], bool]) -> bool:
        """Whether a request takes the task's masks; it doesn't where a job stores them just now, or has stored them a
        moment ago and they are still `there`."""
        with self._lock:
            state = self._states.get(task)
        if state is State.STORED and there():
            return False
        with self._lock:
            if self._states.get(task) is State.STORING or not take():
                return False
            self._states[task] = State.GIVEN
            return True

    def store(self, task: Hashable, there: Callable[[], bool], store: Callable[[], object]) -> bool:
        """Whether the task's masks were stored; not where they are `there` by now, or come by an answer under way, or
        by somebody else who is at it. Raises what the two calls of Label Studio raise."""
        with self._lock:
            if self._states.get(task) in {State.GIVEN, State.STORING}:
                return False
            self._states[task] = State.STORING
        stored = False
        try:
            if not there():
                store()
                stored = True
            return stored
        finally:
            with self._lock:
                if stored:
                    self._states[task] = State.STORED
                else:
                    self._states.pop(task, None)

    def keep(self, key: str, entry: bytes) -> None:
        """An answer for the next who asks for the same."""
        with self._lock:
            if len(entry) <= KEPT_BYTES:
                self._kept[key] = entry

    def take(self, key: str) -> bytes | None:
        """What was kept, once."""
        with self._lock:
            return self._kept.pop(key, None)
