"""The embedding cache: memory before Redis before the encoder, and one encode per picture at a time.

Nothing else in the engine is cached on the encoder's side: this is the seam between expensive once and cheap
many.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from threading import Lock

from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.redis_store import EmbeddingKey, RedisStore


class Source(StrEnum):
    """Where an embedding came from."""

    MEMORY = "memory"
    REDIS = "redis"
    ENCODED = "encoded"


Answer = tuple[Embedding, Source]

FRAMES_KEPT = 256
"""Frames of videos in memory, at most: ten seconds at 25 frames a second."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds, and what it has done since the start.

    `entries` are pictures, `frames` those of videos, `nbytes` of both. `answers` by source; `joined` are those of
    them that shared somebody else's lookup or encode.
    """

    entries: int
    frames: int
    nbytes: int
    evictions: int
    joined: int
    answers: dict[Source, int]


def embedding_key(digest: str, fingerprint: str) -> EmbeddingKey:
    """The key of a picture (the hash of its file's bytes) under a model."""
    return EmbeddingKey(fingerprint, digest)


class EmbeddingCache:
    """Embeddings by key, at most `memory_bytes` of them in memory. Safe to use from any thread."""

    def __init__(self, memory_bytes: int, store: RedisStore | None = None) -> None:
        self.store = store
        self.capacity = memory_bytes
        self._recent = _Recent(memory_bytes)
        self._frames = _Recent(memory_bytes, FRAMES_KEPT)
        self._flights: dict[EmbeddingKey, Future[Answer]] = {}
        self._lock = Lock()
        self._answers: Counter[Source] = Counter()
        self._joined = 0

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """The embedding, if it is in memory or in Redis."""
        with self._lock:
            embedding = self._recent.get(key)
        if embedding is None and self.store is not None:
            embedding = self.store.get(key)
            if embedding is not None:
                with self._lock:
                    self._put(key, embedding)
        return embedding

    def holds(self, key: EmbeddingKey) -> bool:
        """Whether the embedding is in Redis, whose TTL then begins anew, or, where there is no Redis, in memory."""
        if self.store is not None:
            return self.store.touch(key)
        with self._lock:
            return self._recent.get(key) is not None

    def get_or_encode(self, key: EmbeddingKey, encode: Callable[[], Embedding]) -> Answer:
        """The embedding and where it came from; `encode` is called only where nobody has it.

        Whoever asks for a key that is being looked up or encoded waits for that and gets its answer, or the
        error that it ended with; the next to ask tries again. Another replica's encode is waited for too.
        """
        with self._lock:
            embedding = self._recent.get(key)
            if embedding is not None:
                self._answers[Source.MEMORY] += 1
                return embedding, Source.MEMORY
            flight = self._flights.get(key)
            if leads := flight is None:
                flight = self._flights[key] = Future()
            else:
                self._joined += 1
        if leads:
            self._fly(key, encode, flight)
        answer = flight.result()
        with self._lock:
            self._answers[answer[1]] += 1
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
            self._frames.put(key, embedding)
            self._frames.shrink(self.capacity - self._recent.nbytes)

    def room_for_frames(self, nbytes: int) -> int:
        """How many frames of so many bytes can be kept beside the pictures that are there now."""
        with self._lock:
            return min(FRAMES_KEPT, (self.capacity - self._recent.nbytes) // nbytes)

    def stats(self) -> CacheStats:
        with self._lock:
            return CacheStats(
                entries=len(self._recent),
                frames=len(self._frames),
                nbytes=self._recent.nbytes + self._frames.nbytes,
                evictions=self._recent.evictions,
                joined=self._joined,
                answers={source: self._answers[source] for source in Source},
            )

    def close(self) -> None:
        """Stores what is on its way to Redis and disconnects."""
        if self.store is not None:
            self.store.close()

    def _put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """A picture takes the place of other pictures, and before that of frames: a click waits for it."""
        self._recent.put(key, embedding)
        self._frames.shrink(self.capacity - self._recent.nbytes)

    def _fly(self, key: EmbeddingKey, encode: Callable[[], Embedding], flight: Future[Answer]) -> None:
        try:
            answer = self._recall_or_encode(key, encode)
        except BaseException as error:  # noqa: BLE001  whatever it is, everybody who waits has to hear of it
            with self._lock:
                del self._flights[key]
            flight.set_exception(error)
        else:
            with self._lock:
                self._put(key, answer[0])
                del self._flights[key]
            flight.set_result(answer)

    def _recall_or_encode(self, key: EmbeddingKey, encode: Callable[[], Embedding]) -> Answer:
        if self.store is None:
            return encode(), Source.ENCODED
        embedding = self.store.get(key) or self.store.claim(key)
        if embedding is not None:
            return embedding, Source.REDIS
        try:
            embedding = encode()
        except BaseException:
            self.store.release(key)
            raise
        self.store.put(key, embedding)
        return embedding, Source.ENCODED


class _Recent:
    """The most recently used embeddings, bounded in bytes and in number. One larger than the bound is not kept."""

    def __init__(self, bound: int, most: float = inf) -> None:
        self.nbytes = 0
        self.evictions = 0
        self._bound = bound
        self._most = most
        self._embeddings: OrderedDict[EmbeddingKey, Embedding] = OrderedDict()

    def __len__(self) -> int:
        return len(self._embeddings)

    def get(self, key: EmbeddingKey) -> Embedding | None:
        if key in self._embeddings:
            self._embeddings.move_to_end(key)
        return self._embeddings.get(key)

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        if embedding.nbytes > self._bound or key in self._embeddings:
            return
        self._embeddings[key] = embedding
        self.nbytes += embedding.nbytes
        self.shrink(self._bound)

    def shrink(self, bound: int) -> None:
        """Forget what was used longest ago until the rest fits."""
        while self.nbytes > bound or len(self._embeddings) > self._most:
            _, evicted = self._embeddings.popitem(last=False)
            self.nbytes -= evicted.nbytes
            self.evictions += 1
