"""The embedding cache: memory before Redis before the encoder, and one encode per picture at a time.

Nothing else in the engine is cached on the encoder's side: this is the seam between expensive once and cheap
many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.redis_store import PATIENCE_SECONDS, EmbeddingKey, Kind, RedisStore
from label_studio_sam2.flights import Flights


class Source(StrEnum):
    """Where an embedding came from."""

    MEMORY = "memory"
    REDIS = "redis"
    ENCODED = "encoded"


CachedOrEncoded = tuple[Embedding, Source]

FRAMES_KEPT = 256
"""Frames of videos in memory, at most: ten seconds at 25 frames a second."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds, and what it has done since the start.

    `entries` are pictures of one kind, `frames` those of videos, `nbytes` of everything. `answers` of that kind by
    source; `joined` are those of all that shared somebody else's lookup or encode.
    """

    entries: int
    frames: int
    nbytes: int
    evictions: int
    joined: int
    answers: dict[Source, int]


class EmbeddingCache:
    """Embeddings by key, at most `memory_bytes` of them in memory. Safe to use from any thread."""

    def __init__(self, memory_bytes: int, store: RedisStore | None = None) -> None:
        self.store = store
        self.capacity = memory_bytes
        self._pictures = _Memory(memory_bytes)
        self._frames = _Memory(memory_bytes)
        self._flights = Flights[CachedOrEncoded]()
        self._lock = Lock()
        self._answers: Counter[tuple[Kind, Source]] = Counter()

    def holds(self, key: EmbeddingKey) -> bool:
        """Whether the embedding is in Redis, whose TTL then begins anew, or, where there is no Redis, in memory."""
        if self.store is not None:
            return self.store.touch(key)
        with self._lock:
            return self._pictures.get(key) is not None

    def get_or_encode(
        self,
        key: EmbeddingKey,
        encode: Callable[[], Embedding],
        join: Callable[[], None] = lambda: None,
        patience: float = PATIENCE_SECONDS,
    ) -> CachedOrEncoded:
        """The embedding and where it came from; `encode` is called only where nobody has it.

        Whoever asks for a key that is being looked up or encoded calls `join`, waits for that and gets its answer, or
        the error that it ended with; the next to ask tries again. Another replica's encode is waited for too, for
        `patience` seconds.
        """
        answer = self._remembered(key) or self._flights.share(
            key, lambda: self._recall_or_encode(key, encode, patience), join=join
        )
        with self._lock:
            self._answers[key.kind, answer[1]] += 1
        return answer

    def frame(self, key: EmbeddingKey) -> Embedding | None:
        """What `keep_frame` kept of a video's frame, if it is still there."""
        with self._lock:
            return self._frames.get(key)

    def keep_frame(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Keeps a video's frame for the next track over it, as long as pictures leave room.

        Redis holds no frames: getting one from there (9 ms at 1024 px) takes about as long as encoding it on a GPU,
        and ten seconds of video would push 250 pictures out.
        """
        with self._lock:
            self._frames.keep(key, embedding)
            self._frames.shrink(self.capacity - self._pictures.currsize, FRAMES_KEPT)

    def room_for_frames(self, nbytes: int) -> int:
        """How many frames of so many bytes can be kept beside the pictures that are there now."""
        with self._lock:
            return int(min(FRAMES_KEPT, (self.capacity - self._pictures.currsize) // nbytes))

    def stats(self, kind: Kind = "embedding") -> CacheStats:
        with self._lock:
            return CacheStats(
                entries=sum(key.kind == kind for key in self._pictures),
                frames=len(self._frames),
                nbytes=int(self._pictures.currsize + self._frames.currsize),
                evictions=self._pictures.evictions,
                joined=self._flights.joined,
                answers={source: self._answers[kind, source] for source in Source},
            )

    def close(self) -> None:
        """Stores what is on its way to Redis and disconnects."""
        if self.store is not None:
            self.store.close()

    def _remembered(self, key: EmbeddingKey) -> CachedOrEncoded | None:
        with self._lock:
            embedding = self._pictures.get(key)
        return None if embedding is None else (embedding, Source.MEMORY)

    def _recall_or_encode(
        self, key: EmbeddingKey, encode: Callable[[], Embedding], patience: float
    ) -> CachedOrEncoded:
        """A picture takes the place of other pictures, and before that of frames: a click waits for it."""
        answer = self._remembered(key) or self._from_store(key, encode, patience)
        with self._lock:
            self._pictures.keep(key, answer[0])
            self._frames.shrink(self.capacity - self._pictures.currsize)
        return answer

    def _from_store(
        self, key: EmbeddingKey, encode: Callable[[], Embedding], patience: float
    ) -> CachedOrEncoded:
        if self.store is None:
            return encode(), Source.ENCODED
        embedding = self.store.get(key) or self.store.claim(key, patience)
        if embedding is not None:
            return embedding, Source.REDIS
        try:
            embedding = encode()
        except BaseException:
            self.store.release(key)
            raise
        self.store.put(key, embedding)
        return embedding, Source.ENCODED


class _Memory(LRUCache[EmbeddingKey, Embedding]):
    """Bounded in bytes. One larger than the bound is not kept."""

    def __init__(self, bound: int) -> None:
        super().__init__(bound, getsizeof=lambda embedding: embedding.nbytes)
        self.evictions = 0

    def keep(self, key: EmbeddingKey, embedding: Embedding) -> None:
        if embedding.nbytes <= self.maxsize and key not in self:
            self[key] = embedding

    def popitem(self) -> tuple[EmbeddingKey, Embedding]:
        self.evictions += 1
        return super().popitem()

    def shrink(self, bound: float, most: int | None = None) -> None:
        """Forget what was used longest ago until the rest fits."""
        while self.currsize > bound or (most is not None and len(self) > most):
            self.popitem()
