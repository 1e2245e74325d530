"""Embeddings in Redis, shared by all replicas. An outage is a miss: nothing here ever raises to a request.

What is stored goes through a thread of the store's own, off the click's path; the same thread asks a Redis
that is out once a second whether it is back. How much Redis keeps is its own policy (`maxmemory`,
`allkeys-lru`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, Literal, NamedTuple

import redis
from redis.lock import Lock as RedisLock

from label_studio_sam2.engine.cache.embedding import Embedding, from_bytes, to_bytes
from label_studio_sam2.engine.cache.redis_link import RedisLink

PULSE_SECONDS = 1.0
"""How often a Redis that is out is tried again, and held locks are renewed."""

LOCK_SECONDS = 5.0
"""A lock lapses this long after its holder died; a living holder renews it however long the encode takes."""

PATIENCE_SECONDS = 60.0
"""Another replica's encode is waited for this long: 30 s on a slow CPU, behind one that runs already."""

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.1
"""Seconds between two looks at whether the other replica is done; each look is two small commands."""

CHUNK = (1 << 18) - 64
"""An embedding is stored as a list of chunks. As one value of 8 MiB it would take 10 MiB in Redis, whose
allocator rounds up, and twice as long to read: 20 ms instead of 8 on a busy machine of two cores."""

WAITING_WRITES = 16
"""Embeddings on their way to Redis (8 MiB each); further ones are dropped and stay in memory only."""


Kind = Literal["embedding", "words"]
"""Whose picture side it is: SAM 2's, which prompts are decoded from, or a detector's, which is asked for words."""


class EmbeddingKey(NamedTuple):
    """A model's fingerprint and the hash of a picture file's bytes."""

    fingerprint: str
    digest: str
    kind: Kind = "embedding"

    @property
    def name(self) -> str:
        """The key in Redis."""
        return f"label-studio-sam2:{self.kind}:{self.fingerprint}:{self.digest}"


@dataclass(frozen=True, slots=True)
class RedisMemory:
    """Bytes in use, and their bound (0: none)."""

    used: int
    maxmemory: int


class RedisStore:
    """Embeddings by key, each for `ttl` seconds after its last use. Safe to use from any thread."""

    def __init__(
        self, url: str, ttl: int, authorities: str = "", *, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self._ttl = ttl
        self._lock_seconds = lock_seconds
        self._link = RedisLink(url, authorities)
        self._held: dict[EmbeddingKey, RedisLock] = {}
        self._held_lock = Lock()
        self._writes: Queue[tuple[EmbeddingKey, Embedding] | None] = Queue(WAITING_WRITES)
        self._closing = Event()
        self._thread = Thread(target=self._keep, name="redis-store", daemon=True)
        self._thread.start()

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """The embedding, its TTL begun anew: a picture that somebody works on stays. None where there is
        none, where what is there is damaged or not ours, and where Redis is out."""
        value = self._link.attempt("read", lambda client: _get(client, key.name, self._ttl))
        return None if value is None else from_bytes(value, key.fingerprint)

    def touch(self, key: EmbeddingKey) -> bool:
        """Whether there is one; its TTL begins anew."""
        return bool(self._link.attempt("read", lambda client: client.expire(key.name, self._ttl)))

    def count(self, fingerprint: str, kind: Kind = "embedding") -> int:
        """How many embeddings of a model there are."""
        pattern = EmbeddingKey(fingerprint, "*", kind).name

        def scan(client: redis.Redis) -> int:
            return sum(not name.endswith(b":lock") for name in client.scan_iter(pattern, count=1000))

        return self._link.attempt("count", scan) or 0

    def claim(self, key: EmbeddingKey, patience: float = PATIENCE_SECONDS) -> Embedding | None:
        """Another replica's embedding, once it is there; or None where the caller is to encode.

        The caller then holds the key, and has to `put` or `release` it; until then other replicas wait in
        here. If the holder dies they go on when its lock has lapsed, and in any case after `patience` seconds.
        """
        deadline = monotonic() + patience
        pause = FIRST_PAUSE
        while True:
            acquired = self._acquire(key)
            embedding = self.get(key)  # after the lock: so what its last holder stored is seen
            if embedding is not None:
                self.release(key)
                return embedding
            if acquired is not False or monotonic() > deadline or self._closing.wait(pause):
                return None
            pause = min(2 * pause, LONGEST_PAUSE)

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Stores the embedding soon, and releases the key then; returns at once."""
        try:
            self._writes.put_nowait((key, embedding))
        except Full:
            self.release(key)

    def release(self, key: EmbeddingKey) -> None:
        """Gives a claimed key up, so that another replica may encode."""
        with self._held_lock:
            lock = self._held.pop(key, None)
        if lock is not None:
            self._link.attempt("lock", lambda _: _if_still_ours(lock.release))

    def ping(self) -> str | None:
        """None where Redis answers and takes embeddings; else what is wrong and what to do, in a sentence."""
        self._link.attempt("answer", lambda client: client.ping())
        return self._link.trouble

    def memory(self) -> RedisMemory | None:
        """How full Redis is, or None where it is out."""
        info: dict[str, Any] | None = self._link.attempt(
            "tell its memory", lambda client: client.info("memory")
        )
        if info is None:
            return None
        return RedisMemory(info["used_memory"], info["maxmemory"])

    def close(self) -> None:
        """Stores what is on its way and disconnects."""
        if not self._closing.is_set():
            self._closing.set()
            with suppress(Full):  # then it ends with the last of them, as `_closing` says
                self._writes.put_nowait(None)
        self._thread.join()
        self._link.close()

    def _acquire(self, key: EmbeddingKey) -> bool | None:
        """Whether the key is ours now; None where Redis is out."""

        def acquire(client: redis.Redis) -> bool:
            lock = RedisLock(
                client, f"{key.name}:lock", self._lock_seconds, blocking=False, thread_local=False
            )
            acquired = bool(lock.acquire())
            if acquired:
                with self._held_lock:
                    self._held[key] = lock
            return acquired

        return self._link.attempt("lock", acquire)

    def _keep(self) -> None:
        while True:
            try:
                write = self._writes.get(timeout=min(PULSE_SECONDS, self._lock_seconds / 3))
                if write is None:
                    return
                self._write(*write)
            except Empty:
                if self._closing.is_set():
                    return
            self._link.revive()
            self._renew()

    def _write(self, key: EmbeddingKey, embedding: Embedding) -> None:
        value = to_bytes(embedding)
        self._link.attempt("store", lambda client: _set(client, key.name, value, self._ttl))
        self.release(key)

    def _renew(self) -> None:
        with self._held_lock:
            held = list(self._held.values())
        for lock in held:
            self._link.attempt("lock", lambda _: _if_still_ours(lock.reacquire))  # noqa: B023  called at once


def _get(client: redis.Redis, name: str, ttl: int) -> bytes | None:
    """LRANGE and EXPIRE in one round trip; a refused EXPIRE (on a replica, say) costs nothing."""
    pipeline = client.pipeline(transaction=False)
    pipeline.lrange(name, 0, -1)
    pipeline.expire(name, ttl)
    chunks: list[bytes] | Exception = pipeline.execute(raise_on_error=False)[0]
    if isinstance(chunks, Exception):
        if str(chunks).startswith("WRONGTYPE"):  # somebody else's value under our name
            return None
        raise chunks
    return b"".join(chunks) or None


def _set(client: redis.Redis, name: str, value: bytes, ttl: int) -> None:
    pipeline = client.pipeline(transaction=True)
    pipeline.delete(name)
    pipeline.rpush(name, *(memoryview(value)[at : at + CHUNK] for at in range(0, len(value), CHUNK)))
    pipeline.expire(name, ttl)
    pipeline.execute()


def _if_still_ours(call: Callable[[], Any]) -> None:
    try:
        call()
    except (
        redis.exceptions.LockError
    ):  # it lapsed; somebody else may hold it by now, which costs one encode more
        return
