"""Which replica hands a task's masks over, so that two that were asked at once don't both.

As `background.deliveries` has it for one process: what somebody gives or stores just now nobody else does. An answer
that has gone out counts against those who were asked before it did: who asks after that means to be answered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

import orjson
import redis

from label_studio_sam2.background.shared.store import SharedStore, name

UNDER_WAY_SECONDS = 100
"""How long an answer may be on its way into Label Studio's database: its own patience."""


class State(StrEnum):
    GIVEN = "given"
    STORING = "storing"
    STORED = "stored"


class Claim(NamedTuple):
    """Whose it is. `answered`: when the answer went out that the masks were given to, in seconds of Redis's clock."""

    replica: str
    state: str
    answered: float | None = None

    def written(self) -> bytes:
        return orjson.dumps(list(self))

    @classmethod
    def parse(cls, value: bytes | str | None) -> Claim | None:
        try:
            return cls(*orjson.loads(value or b""))
        except (ValueError, TypeError):
            return None


class Claims:
    """By a name of the task and the version of the model. Where there is no Redis, everything may be claimed."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def now(self) -> float:
        """Of Redis's clock; 0 where there is none."""
        seconds, micros = self._store.attempt("tell the time", lambda client: client.time()) or (0, 0)
        return float(seconds + micros / 1e6)

    def give(self, task: str, asked: float, there: Callable[[], bool]) -> bool:
        """Whether the masks may go into the answer of a request that came when it was `asked`. `there`: whether they
        are stored."""

        def free(held: Claim, *, alive: bool) -> bool:
            if held.state == State.GIVEN:
                return not alive if held.answered is None else held.answered <= asked
            return (held.state == State.STORED or not alive) and not there()

        return self._take(task, State.GIVEN, free)

    def store(self, task: str, there: Callable[[], bool], store: Callable[[], object]) -> bool:
        """Whether the masks were stored; not where they are `there` by now, or somebody else hands them over. Raises
        what the two calls raise."""

        def free(held: Claim, *, alive: bool) -> bool:
            return held.state == State.STORED or (not alive and held.answered is None)

        if not self._take(task, State.STORING, free):
            return False
        stored = False
        try:
            if not there():
                store()
                stored = True
            return stored
        finally:
            if stored:
                self._write([task], Claim(self._store.replica, State.STORED))
            else:
                self.leave([task])

    def elsewhere(self, task: str, asked: float) -> bool:
        """Whether another replica has them in hand, or has answered them after somebody `asked`."""
        held = Claim.parse(self._store.attempt("read", lambda client: client.get(name("claim", task))))
        if held is None or held.replica == self._store.replica:
            return False
        return held.answered is None or held.answered > asked

    def answered(self, tasks: Iterable[str]) -> None:
        """The answer that these were given to goes out."""
        if given := list(tasks):
            self._write(given, Claim(self._store.replica, State.GIVEN, self.now()))

    def leave(self, tasks: Iterable[str]) -> None:
        """Somebody else may have them."""
        if names := [name("claim", task) for task in tasks]:
            self._store.attempt("store", lambda client: client.delete(*names))

    def _take(self, task: str, state: State, free: Callable[..., bool]) -> bool:
        """Whether it is ours now: nobody has it, we have it ourselves, or it is `free` though somebody has it."""
        key, ours = name("claim", task), Claim(self._store.replica, state).written()

        def claim(client: redis.Redis) -> bytes | None:
            pipeline = client.pipeline()
            pipeline.set(key, ours, nx=True, ex=UNDER_WAY_SECONDS)
            pipeline.get(key)
            found: bytes | None = pipeline.execute()[1]
            return found

        found = self._store.attempt("store", claim)
        held = Claim.parse(found)
        if found is None or found == ours:
            return True
        if held is not None and held.replica != self._store.replica:
            alive = bool(self._store.living([held.replica]))
            if not free(held, alive=alive):
                return False
        return self._store.replace(key, found, ours, UNDER_WAY_SECONDS)

    def _write(self, tasks: Iterable[str], claim: Claim) -> None:
        value, keys = claim.written(), [name("claim", task) for task in tasks]

        def write(client: redis.Redis) -> bool:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.set(key, value, ex=UNDER_WAY_SECONDS)
            pipeline.execute()
            return True

        self._store.attempt("store", write)
