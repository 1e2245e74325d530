from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import FRAMES_KEPT, EmbeddingCache, Source
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey
from label_studio_sam2.errors import MediaUnreadable
from label_studio_sam2.types import Size

from tests.fakes.eventually import eventually

KEY = EmbeddingKey("model", "picture")


def embedding_of(kilobytes: int) -> Embedding:
    return Embedding((np.zeros((kilobytes, 16, 16), np.float32),), Size(1, 1), "model")


@dataclass
class Encoder:
    """Counts how often it is asked; waits for `go`; fails as often as it is told to."""

    go: Event = field(default_factory=Event)
    calls: int = 0
    failures: int = 0

    def __call__(self) -> Embedding:
        self.calls += 1
        assert self.go.wait(20)
        if self.calls <= self.failures:
            raise MediaUnreadable("no picture")
        return embedding_of(1)


class Recency(RuleBasedStateMachine):
    """The cache against a plain model of "least recently used goes first"."""

    BOUND = 10

    def __init__(self) -> None:
        super().__init__()
        self.cache = EmbeddingCache(self.BOUND * 1024)
        self.kept: OrderedDict[int, int] = OrderedDict()

    @rule(picture=st.integers(0, 6))
    def ask(self, picture: int) -> None:
        kilobytes = (3, 5, 2, 10, 11, 0, 4)[picture]
        known = picture in self.kept
        _, source = self.cache.get_or_encode(
            EmbeddingKey("model", str(picture)), lambda: embedding_of(kilobytes)
        )
        assert source is (Source.MEMORY if known else Source.ENCODED)
        self.use(picture, kilobytes)

    @rule(picture=st.integers(0, 6))
    def look(self, picture: int) -> None:
        assert self.cache.holds(EmbeddingKey("model", str(picture))) == (picture in self.kept)
        if picture in self.kept:
            self.kept.move_to_end(picture)

    def use(self, picture: int, kilobytes: int) -> None:
        if kilobytes <= self.BOUND:
            self.kept[picture] = kilobytes
            self.kept.move_to_end(picture)
        while sum(self.kept.values()) > self.BOUND:
            self.kept.popitem(last=False)

    @invariant()
    def stays_within_its_bound(self) -> None:
        stats = self.cache.stats()
        assert stats.nbytes == 1024 * sum(self.kept.values()) <= self.BOUND * 1024
        assert stats.entries == len(self.kept)


TestRecency = Recency.TestCase


def ask_from_threads(
    cache: EmbeddingCache, encode: Callable[[], Embedding], threads: ThreadPoolExecutor, count: int
) -> list[Callable[[], tuple[Embedding, Source]]]:
    """The pending answers, once one asker encodes and all others have joined it."""
    pending = [threads.submit(cache.get_or_encode, KEY, encode) for _ in range(count)]
    eventually(lambda: cache.stats().joined == count - 1)
    return [future.result for future in pending]


def test_threads_that_ask_for_the_same_new_picture_encode_it_once() -> None:
    cache, encode = EmbeddingCache(1 << 20), Encoder()
    with ThreadPoolExecutor(8) as threads:
        answers = ask_from_threads(cache, encode, threads, 8)
        encode.go.set()
        assert len({id(answer()[0]) for answer in answers}) == 1
    assert encode.calls == 1
    assert cache.get_or_encode(KEY, encode)[1] is Source.MEMORY
    assert cache.stats().answers == {Source.MEMORY: 1, Source.REDIS: 0, Source.ENCODED: 8}


def test_everybody_who_waits_hears_of_a_failed_encode_and_the_next_to_ask_tries_again() -> None:
    cache, encode = EmbeddingCache(1 << 20), Encoder(failures=1)
    with ThreadPoolExecutor(4) as threads:
        answers = ask_from_threads(cache, encode, threads, 4)
        encode.go.set()
        for answer in answers:
            with pytest.raises(MediaUnreadable):
                answer()
    assert cache.get_or_encode(KEY, encode)[1] is Source.ENCODED
    assert encode.calls == 2


def test_a_picture_is_answered_from_memory_while_another_is_being_encoded() -> None:
    cache, encode = EmbeddingCache(1 << 20), Encoder()
    other = EmbeddingKey("model", "other")
    cache.get_or_encode(other, lambda: embedding_of(1))
    with ThreadPoolExecutor(1) as threads:
        pending = threads.submit(cache.get_or_encode, KEY, encode)
        eventually(lambda: encode.calls == 1)
        assert cache.get_or_encode(other, encode)[1] is Source.MEMORY
        assert not pending.done()
        encode.go.set()


def test_an_embedding_larger_than_the_bound_is_answered_but_not_kept() -> None:
    cache = EmbeddingCache(1024)
    assert cache.get_or_encode(KEY, lambda: embedding_of(2))[0].nbytes == 2048
    assert cache.stats().nbytes == 0
    assert not cache.holds(KEY)


def test_a_bound_of_zero_keeps_nothing() -> None:
    cache = EmbeddingCache(0)
    for _ in range(2):
        assert cache.get_or_encode(KEY, lambda: embedding_of(1))[1] is Source.ENCODED


def test_evictions_are_counted() -> None:
    cache = EmbeddingCache(2048)
    for picture in "abc":
        cache.get_or_encode(EmbeddingKey("model", picture), lambda: embedding_of(1))
    assert cache.stats().evictions == 1
    assert not cache.holds(EmbeddingKey("model", "a"))


def test_frames_of_a_video_give_way_to_pictures_and_never_the_other_way_round() -> None:
    cache = EmbeddingCache(10 * 1024)
    cache.get_or_encode(KEY, lambda: embedding_of(4))
    for number in range(20):
        cache.keep_frame(EmbeddingKey("model", f"video@{number}"), embedding_of(2))
    kept = [number for number in range(20) if cache.frame(EmbeddingKey("model", f"video@{number}"))]
    assert kept == [17, 18, 19]
    assert cache.stats().nbytes == 10 * 1024
    assert cache.holds(KEY)

    cache.get_or_encode(EmbeddingKey("model", "another picture"), lambda: embedding_of(4))

    assert cache.stats().frames == 1
    assert cache.stats().entries == 2


def test_frames_are_bounded_in_number_too_so_that_memory_is_flat_however_long_the_video() -> None:
    cache = EmbeddingCache(1 << 30)
    assert cache.room_for_frames(1024) == FRAMES_KEPT
    for number in range(FRAMES_KEPT + 5):
        cache.keep_frame(EmbeddingKey("model", f"video@{number}"), embedding_of(1))
    assert cache.stats().frames == FRAMES_KEPT
    assert cache.frame(EmbeddingKey("model", "video@4")) is None
