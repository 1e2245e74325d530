from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.cache import EmbeddingCache, embedding_key
from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.lane import Lane, Priority
from label_studio_sam2.errors import Busy, NotReady, Superseded
from label_studio_sam2.types import Size

from tests.eventually import eventually


@dataclass
class Bench:
    """A lane whose general thread is held up by a video frame until `go`, and what ran since."""

    lane: Lane
    threads: ThreadPoolExecutor
    go: Event = field(default_factory=Event)
    ran: list[str] = field(default_factory=list)

    def occupy(self, priority: Priority) -> Future[bool]:
        future = self.threads.submit(self.lane.run, priority, lambda: self.go.wait(20))
        eventually(lambda: self.lane.running()[priority] == 1)
        return future

    def queue(self, priority: Priority, name: str, **options: object) -> Future[None]:
        """Work of this name, once it waits in the lane."""
        before = self.waiting
        run: Callable[..., None] = self.lane.run
        future = self.threads.submit(run, priority, lambda: self.ran.append(name), **options)
        eventually(lambda: future.done() or self.waiting > before)
        return future

    @property
    def waiting(self) -> int:
        return sum(self.lane.waiting().values())


@contextmanager
def bench(**options: object) -> Iterator[Bench]:
    lane = Lane(**options)  # type: ignore[arg-type]
    with ThreadPoolExecutor(16) as threads:
        bench = Bench(lane, threads)
        try:
            yield bench
        finally:
            bench.go.set()
            lane.close()


def test_work_runs_by_priority_and_within_one_priority_in_order_of_arrival() -> None:
    with bench() as b:
        b.occupy(Priority.VIDEO_FRAME)
        b.occupy(Priority.CLICK_DECODE)
        waiting = [
            b.queue(priority, f"{priority.name} {n}") for n in (1, 2) for priority in reversed(Priority)
        ]
        assert b.lane.waiting() == dict.fromkeys(Priority, 2)
        b.go.set()
        for future in waiting:
            future.result()
    encodes = [name for name in b.ran if "DECODE" not in name]  # the other thread takes decodes beside them
    assert encodes == [f"{priority.name} {n}" for priority in list(Priority)[1:] for n in (1, 2)]


def test_one_thread_alone_runs_everything_in_order() -> None:
    with bench(decodes_apart=False) as b:
        b.occupy(Priority.VIDEO_FRAME)
        waiting = [b.queue(priority, priority.name) for priority in reversed(Priority)]
        b.go.set()
        for future in waiting:
            future.result()
    assert b.ran == [priority.name for priority in Priority]


def test_a_click_on_an_encoded_picture_does_not_wait_for_an_encode() -> None:
    with bench() as b:
        encoding = b.occupy(Priority.CLICK_ENCODE)
        b.queue(Priority.CLICK_ENCODE, "second encode")
        b.lane.run(Priority.CLICK_DECODE, lambda: b.ran.append("decode"))
        assert b.ran == ["decode"]
        assert not encoding.done()


def test_a_video_frame_does_not_begin_while_a_click_is_decoded_and_an_encode_does() -> None:
    held, threads = Event(), ThreadPoolExecutor(1)
    with bench() as b:
        encoding = threads.submit(b.lane.run, Priority.CLICK_ENCODE, lambda: held.wait(20))
        eventually(lambda: b.lane.running()[Priority.CLICK_ENCODE] == 1)
        decoding = b.occupy(Priority.CLICK_DECODE)
        frame = b.queue(Priority.VIDEO_FRAME, "frame")
        held.set()
        encoding.result()
        for name in ("first encode", "second encode"):
            b.lane.run(Priority.CLICK_ENCODE, lambda name=name: b.ran.append(name))
        assert b.ran == ["first encode", "second encode"]
        b.go.set()
        decoding.result()
        frame.result()
        assert b.ran[2:] == ["frame"]
    threads.shutdown()


def test_two_decodes_run_side_by_side() -> None:
    with bench() as b:
        first = b.occupy(Priority.CLICK_DECODE)
        b.lane.run(Priority.CLICK_DECODE, lambda: b.ran.append("second"))
        assert b.ran == ["second"]
        assert not first.done()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_the_work_raises_reaches_its_caller_and_the_lane_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with bench() as b:
        for priority in Priority:
            with pytest.raises(type(error)):
                b.lane.run(priority, fail)
        assert b.lane.run(Priority.PREWARM, lambda: 1) == 1
        assert b.lane.running() == dict.fromkeys(Priority, 0)


def test_work_runs_in_inference_mode_and_tuning_may_ask_for_gradients() -> None:
    with bench() as b:
        for priority in Priority:
            assert b.lane.run(priority, torch.is_inference_mode_enabled)
            assert not b.lane.run(priority, torch.is_inference_mode_enabled, grad=True)
        assert b.lane.run(Priority.TUNING, torch.is_grad_enabled, grad=True)


def test_a_newer_click_makes_an_older_waiting_one_moot_at_once() -> None:
    with bench(decodes_apart=False) as b:
        b.occupy(Priority.VIDEO_FRAME)
        older = b.queue(Priority.CLICK_DECODE, "older", supersede=(1, "cat"))
        other = b.queue(Priority.CLICK_DECODE, "other label", supersede=(1, "dog"))
        run: Callable[..., None] = b.lane.run
        newer = b.threads.submit(
            run, Priority.CLICK_DECODE, lambda: b.ran.append("newer"), supersede=(1, "cat")
        )
        with pytest.raises(Superseded):
            older.result()
        assert not b.go.is_set()
        b.go.set()
        newer.result()
        other.result()
    assert b.ran == ["other label", "newer"]


def test_an_older_click_that_reaches_the_lane_after_a_newer_one_is_moot() -> None:
    with bench() as b:
        b.lane.run(Priority.CLICK_DECODE, lambda: b.ran.append("newer"), supersede="cat", since=2.0)
        with pytest.raises(Superseded):
            b.lane.run(Priority.CLICK_DECODE, lambda: b.ran.append("older"), supersede="cat", since=1.0)
        b.lane.run(Priority.CLICK_DECODE, lambda: b.ran.append("same click"), supersede="cat", since=2.0)
    assert b.ran == ["newer", "same click"]


def test_a_running_click_is_finished_when_a_newer_one_comes() -> None:
    with bench(decodes_apart=False) as b:
        running = b.threads.submit(b.lane.run, Priority.CLICK_DECODE, lambda: b.go.wait(20), supersede="cat")
        eventually(lambda: b.lane.running()[Priority.CLICK_DECODE] == 1)
        newer = b.queue(Priority.CLICK_DECODE, "newer", supersede="cat")
        b.go.set()
        assert running.result()
        newer.result()


def test_boosted_work_goes_before_what_waited_longer() -> None:
    with bench() as b:
        b.occupy(Priority.VIDEO_FRAME)
        waiting = [b.queue(Priority.PREWARM, name, key=name) for name in "abc"]
        b.lane.boost("c", Priority.CLICK_ENCODE)
        assert b.lane.waiting()[Priority.CLICK_ENCODE] == 1
        b.lane.boost("c", Priority.TUNING)  # never lowers
        b.go.set()
        for future in waiting:
            future.result()
    assert b.ran == ["c", "a", "b"]


def test_a_boost_that_comes_before_its_work_is_remembered_once() -> None:
    with bench() as b:
        b.occupy(Priority.VIDEO_FRAME)
        b.lane.boost("b", Priority.CLICK_ENCODE)
        waiting = [b.queue(Priority.PREWARM, name, key=name) for name in "ab"]
        waiting.append(b.queue(Priority.PREWARM, "b again", key="b"))
        b.go.set()
        for future in waiting:
            future.result()
    assert b.ran == ["b", "a", "b again"]


def test_a_click_that_joins_a_prewarming_encode_does_not_wait_for_the_rest_of_the_prewarming() -> None:
    key = embedding_key("picture", "model")
    embedding = Embedding((np.zeros((1, 1, 1), np.float16),), Size(1, 1), "model")
    cache = EmbeddingCache(1 << 20)
    with bench() as b:

        def ask(priority: Priority) -> Embedding:
            b.lane.boost(key, priority)
            return cache.get_or_encode(key, lambda: b.lane.run(priority, encode, key=key))[0]

        def encode() -> Embedding:
            b.ran.append("picture")
            return embedding

        b.occupy(Priority.VIDEO_FRAME)
        b.queue(Priority.PREWARM, "another picture")
        prewarm = b.threads.submit(ask, Priority.PREWARM)
        eventually(lambda: b.waiting == 2)
        click = b.threads.submit(ask, Priority.CLICK_ENCODE)
        eventually(lambda: cache.stats().joined == 1)
        b.go.set()
        assert click.result() is prewarm.result() is embedding
        eventually(lambda: len(b.ran) == 2)
    assert b.ran == ["picture", "another picture"]


def test_too_many_waiting_clicks_are_told_to_come_back_and_other_work_is_not() -> None:
    with bench(waiting_clicks=2) as b:
        b.occupy(Priority.VIDEO_FRAME)
        waiting = [b.queue(Priority.CLICK_ENCODE, f"click {n}") for n in range(2)]
        with pytest.raises(Busy) as busy:
            b.lane.run(Priority.CLICK_ENCODE, lambda: None)
        assert busy.value.retry_after
        waiting.append(b.queue(Priority.PREWARM, "prewarm"))
        b.go.set()
        for future in waiting:
            future.result()
        assert b.lane.run(Priority.CLICK_ENCODE, lambda: 1) == 1


def test_a_newer_click_takes_its_older_ones_place_in_a_full_queue() -> None:
    with bench(waiting_clicks=1) as b:
        b.occupy(Priority.VIDEO_FRAME)
        older = b.queue(Priority.CLICK_ENCODE, "older", supersede="cat")
        run: Callable[..., None] = b.lane.run
        newer = b.threads.submit(run, Priority.CLICK_ENCODE, lambda: b.ran.append("newer"), supersede="cat")
        with pytest.raises(Superseded):
            older.result()
        b.go.set()
        newer.result()


def test_closing_finishes_what_runs_and_refuses_what_waits_and_comes() -> None:
    with bench() as b:
        running = b.occupy(Priority.VIDEO_FRAME)
        waiting = b.queue(Priority.PREWARM, "waiting")
        closing = b.threads.submit(b.lane.close)
        with pytest.raises(NotReady):
            waiting.result()
        with pytest.raises(NotReady):
            b.lane.run(Priority.CLICK_DECODE, lambda: None)
        assert not closing.done()
        b.go.set()
        closing.result()
        assert running.result()
    assert b.ran == []


def test_an_observer_is_told_of_all_work_done() -> None:
    seen: list[Priority] = []

    def observe(priority: Priority, waited: float, ran: float) -> None:
        assert waited >= 0
        assert ran >= 0
        seen.append(priority)

    with bench(observe=observe) as b:
        for priority in Priority:
            b.lane.run(priority, lambda: None)
    assert seen == list(Priority)


def test_work_cannot_wait_for_the_lane_it_runs_on() -> None:
    with bench() as b, pytest.raises(AssertionError, match="can't wait"):
        b.lane.run(Priority.VIDEO_FRAME, lambda: b.lane.run(Priority.CLICK_DECODE, lambda: None))
