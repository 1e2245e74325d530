"""How a task's masks reach whoever wants them: answered to a request that waits, stored in Label Studio, or kept.

Each task has one state at a time, so that two requests for one task don't both deliver its masks:

    nothing  --give-->     GIVEN     an answer is on its way into Label Studio's database
    nothing  --storing-->  STORING   somebody is talking to Label Studio
    STORING  --stored-->   STORED    a prediction was made a moment ago
    STORING  --failed-->   nothing

No lock is held while somebody talks to Label Studio. What other replicas have in hand, `shared.claims` knows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum, auto
from threading import Lock

from cachetools import LRUCache, TTLCache

from label_studio_sam2.background.shared.claims import UNDER_WAY_SECONDS, Claims
from label_studio_sam2.background.shared.late_answers import LateAnswers
from label_studio_sam2.background.shared.store import SharedStore, digest

ANSWER_BYTES = 256 << 20
"""Of one answer's masks; a task that doesn't fit is handed over like one that isn't ready."""

KEPT_BYTES = 128 << 20
"""Of answers that wait to be asked for again; the oldest go first."""

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

    def __init__(self, store: SharedStore | None = None) -> None:
        """`store`: what other replicas deliver, and where late answers are kept for all."""
        store = store or SharedStore()
        self._claims, self._late = Claims(store), LateAnswers(store)
        self._states: TTLCache[Hashable, State] = TTLCache(TASKS, UNDER_WAY_SECONDS)
        self._kept: LRUCache[str, bytes] = LRUCache(KEPT_BYTES, getsizeof=len)
        self._lock = Lock()

    def now(self) -> float:
        """When a request comes, for `give`."""
        return self._claims.now()

    def give(
        self, task: Hashable, take: Callable[[], bool], there: Callable[[], bool], asked: float = 0.0
    ) -> bool:
        """Whether a request that was `asked` then takes the task's masks; it doesn't where a job stores them just now,
        or has stored them a moment ago and they are still `there`."""
        with self._lock:
            state = self._states.get(task)
        if state is State.STORED and there():
            return False
        if not self._claims.give(digest(task), asked, there):
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
            stored = self._claims.store(digest(task), there, store)
            return stored
        finally:
            with self._lock:
                if stored:
                    self._states[task] = State.STORED
                else:
                    self._states.pop(task, None)

    def elsewhere(self, task: Hashable, asked: float) -> bool:
        """Whether a request of another replica that came no earlier than it was `asked` gets the task's masks."""
        return self._claims.elsewhere(digest(task), asked)

    def answered(self, tasks: Iterable[Hashable]) -> None:
        """The answer that these were given to goes out."""
        self._claims.answered(map(digest, tasks))

    def take_back(self, tasks: Iterable[Hashable]) -> None:
        """Nobody got what was given to an answer."""
        self._claims.leave(map(digest, tasks))

    def keep(self, key: str, entry: bytes) -> None:
        """An answer for the next who asks for the same."""
        if self._late.keep(key, entry):
            return
        with self._lock:
            if len(entry) <= KEPT_BYTES:
                self._kept[key] = entry

    def take(self, key: str) -> bytes | None:
        """What was kept, once."""
        return self.take_all({0: key}).get(0)

    def take_all(self, keys: Mapping[int, str]) -> dict[int, bytes]:
        """What was kept, by its place; once."""
        with self._lock:
            kept = {place: self._kept.pop(key, None) for place, key in keys.items()}
        found = {place: entry for place, entry in kept.items() if entry is not None}
        return found | self._late.take({place: key for place, key in keys.items() if place not in found})
