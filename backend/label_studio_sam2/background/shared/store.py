"""The Redis that replicas share, and this replica's pulse in it. An outage is no error: nothing here ever raises."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from hashlib import blake2b
from math import inf
from threading import Event, Thread
from time import monotonic
from typing import TypeVar
from uuid import uuid4

import redis

from label_studio_sam2.engine.cache.redis_link import RedisLink

log = logging.getLogger(__name__)

T = TypeVar("T")

PREFIX = "label-studio-sam2:shared1"

PULSE_SECONDS = 1.0
"""Between two looks at what others did."""

ALIVE_SECONDS = 10
"""A replica counts as dead so long after its last pulse."""

REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
"""A value takes the place of this one only: of two that find the same, one does it."""


class SharedStore:
    """Safe to use from any thread. `replica` is this process's own name."""

    def __init__(self, url: str = "", authorities: str = "", *, pulse_seconds: float = PULSE_SECONDS) -> None:
        """`url` empty: there is none, as while Redis is out. `authorities` as a RedisLink's."""
        self.replica = uuid4().hex[:12]
        # Quiet: the embeddings' own link tells of an outage. Patient: a replica that is busy must not do for itself
        # what another one does.
        self._link = RedisLink(url, authorities, level=logging.DEBUG, slow_seconds=inf) if url else None
        self._pulse_seconds = pulse_seconds
        self._pulses: list[Callable[[], object]] = []
        self._since: float | None = None
        self._wake, self._closing = Event(), Event()
        self._thread: Thread | None = None

    @property
    def settled(self) -> bool:
        """Whether every living replica must have had its pulse since Redis answers: who had none then is dead."""
        return self._since is not None and monotonic() - self._since > ALIVE_SECONDS

    def attempt(self, verb: str, call: Callable[[redis.Redis], T]) -> T | None:
        """What the call returns, or None where there is no Redis, or it is out or refuses."""
        return None if self._link is None else self._link.attempt(verb, call)

    def replace(self, key: str, old: bytes, new: bytes, seconds: int) -> bool:
        """Whether the new value took the place of this one; also where nobody can tell."""
        done = self.attempt("store", lambda client: client.eval(REPLACE, 1, key, old, new, seconds))
        return done != 0

    def each_pulse(self, look: Callable[[], object]) -> None:
        """Has `look` called in a thread about once a second, while Redis answers."""
        self._pulses.append(look)

    def soon(self) -> None:
        """Has all looks called at once: there is something to tell."""
        self._wake.set()

    def living(self, replicas: Collection[str]) -> set[str]:
        """Which of these have a pulse; all while Redis is out."""
        asked = list(replicas)
        found = self.attempt(
            "read", lambda client: client.mget([name("replica", one) for one in asked] or "-")
        )
        return (
            set(asked) if found is None else {one for one, pulse in zip(asked, found, strict=False) if pulse}
        )

    def open(self) -> None:
        if self._link is not None and self._thread is None:
            self._thread = Thread(target=self._run, name="replicas", daemon=True)
            self._thread.start()

    def end_pulse(self) -> None:
        """Nothing is told any more, so that what is given up from here on looks as if this replica had died."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Says goodbye, so that others take up at once what is left, and disconnects."""
        self.end_pulse()
        self.attempt("store", lambda client: client.delete(name("replica", self.replica)))
        if self._link is not None:
            self._link.close()

    def _run(self) -> None:
        assert self._link is not None
        while not self._closing.is_set():
            self._link.revive()
            if self.attempt(
                "store", lambda client: client.set(name("replica", self.replica), 1, ex=ALIVE_SECONDS)
            ):
                self._since = self._since or monotonic()
                self._look()
            else:
                self._since = None
            self._wake.wait(self._pulse_seconds)
            self._wake.clear()

    def _look(self) -> None:
        for look in self._pulses:
            try:
                look()
            except Exception:  # whatever others have written, the pulse goes on
                log.exception("a look at what other replicas do failed")


def name(*parts: str) -> str:
    """A key in Redis."""
    return ":".join((PREFIX, *parts))


def digest(value: object) -> str:
    """Of a value whose `repr` is the same in every process."""
    return blake2b(repr(value).encode(), digest_size=16).hexdigest()
