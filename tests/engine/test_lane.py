from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from time import monotonic

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey
from label_studio_sam2.engine.lane import ANSWER_SECONDS, Lane
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import Busy, NobodyWaits, NotReady, OutOfMemory, Superseded
from label_studio_sam2.flights import Flights
from label_studio_sam2.request.asker import asking
from label_studio_sam2.request.whose import NOBODYS, Whose, working_for
from label_studio_sam2.types import Size

from tests.fakes.eventually import eventually


@dataclass
class Bench:
    """A lane whose general thread is held up by a video frame until `go`, and what ran since."""

    lane: Lane
    threads: ThreadPoolExecutor
    go: Event = field(default_factory=Event)
    ran: list[str] = field(default_factory=list)

    def occupy(
        self, priority: Priority, *, until: Event | None = None, supersedes: str | None = None
    ) -> Future[bool]:
        """Work that has begun, and goes on until then, or until `go`."""
        begun, ends = Event(), until or self.go

        def work() -> bool:
            begun.set()
            return ends.wait(20)

        future = self.threads.submit(self.lane.run, Turn(priority, supersedes), work)
        assert begun.wait(20)
        return future

    def run(
        self, priority: Priority, name: str, *, supersedes: object = None, since: float | None = None
    ) -> None:
        self.lane.run(Turn(priority, supersedes, since), lambda: self.ran.append(name))

    def queue(
        self,
        priority: Priority,
        name: str,
        *,
        key: str | None = None,
        supersedes: object = None,
        whose: Whose = NOBODYS,
    ) -> Future[None]:
        """Work of this name, once it waits in the lane."""
        before = self.waiting
        work = partial(self.lane.run, Turn(priority, supersedes), lambda: self.ran.append(name), key=key)
        with working_for(whose):
            future = self.threads.submit(copy_context().run, work)
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


def test_of_one_priority_projects_take_turns_and_in_a_project_its_tasks() -> None:
    with bench() as b:
        b.occupy(Priority.VIDEO_FRAME)
        asked = [("a1", 1, 1), ("a2", 1, 1), ("a3", 1, 1), ("b1", 1, 2), ("c1", 2, 3), ("c2", 2, 3)]
        waiting = [
            b.queue(Priority.CLICK_ENCODE, name, whose=Whose(project, task)) for name, project, task in asked
        ]
        b.go.set()
        for future in waiting:
            future.result()
    assert b.ran == ["a1", "c1", "b1", "c2", "a2", "a3"]


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
        b.run(Priority.CLICK_DECODE, "decode")
        assert b.ran == ["decode"]
        assert not encoding.done()


def test_a_video_frame_does_not_begin_while_a_click_is_decoded_and_an_encode_does() -> None:
    held = Event()
    with bench() as b:
        encoding = b.occupy(Priority.CLICK_ENCODE, until=held)
        decoding = b.occupy(Priority.CLICK_DECODE)
        frame = b.queue(Priority.VIDEO_FRAME, "frame")
        held.set()
        encoding.result()
        for name in ("first encode", "second encode"):
            b.run(Priority.CLICK_ENCODE, name)
        assert b.ran == ["first encode", "second encode"]
        b.go.set()
        decoding.result()
        frame.result()
        assert b.ran[2:] == ["frame"]


def test_two_decodes_run_side_by_side() -> None:
    with bench() as b:
        first = b.occupy(Priority.CLICK_DECODE)
        b.run(Priority.CLICK_DECODE, "second")
        assert b.ran == ["second"]
        assert not first.done()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_the_work_raises_reaches_its_caller_and_the_lane_goes_on(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with bench() as b:
        for priority in Priority:
            with pytest.raises(type(error)):
                b.lane.run(Turn(priority), fail)
        assert b.lane.run(Turn(Priority.PREWARM), lambda: 1) == 1
        b.run(
            Priority.VIDEO_FRAME, "frame"
        )  # which would wait for a click that is taken to be under way still


def test_work_runs_in_inference_mode_and_tuning_may_ask_for_gradients() -> None:
    with bench() as b:
        for priority in Priority:
            assert b.lane.run(Turn(priority), torch.is_inference_mode_enabled)
            assert not b.lane.run(Turn(priority), torch.is_inference_mode_enabled, grad=True)
        assert b.lane.run(Turn(Priority.TUNING), torch.is_grad_enabled, grad=True)


def test_a_newer_click_makes_an_older_waiting_one_moot_at_once() -> None:
    with bench(decodes_apart=False) as b:
        b.occupy(Priority.VIDEO_FRAME)
        older = b.queue(Priority.CLICK_DECODE, "older", supersedes=(1, "cat"))
        other = b.queue(Priority.CLICK_DECODE, "other label", supersedes=(1, "dog"))
        newer = b.threads.submit(b.run, Priority.CLICK_DECODE, "newer", supersedes=(1, "cat"))
        with pytest.raises(Superseded):
            older.result()
        assert not b.go.is_set()
        b.go.set()
        newer.result()
        other.result()
    assert b.ran == ["other label", "newer"]


def test_an_older_click_that_reaches_the_lane_after_a_newer_one_is_moot() -> None:
    with bench() as b:
        b.run(Priority.CLICK_DECODE, "newer", supersedes="cat", since=2.0)
        with pytest.raises(Superseded):
            b.run(Priority.CLICK_DECODE, "older", supersedes="cat", since=1.0)
        b.run(Priority.CLICK_DECODE, "same click", supersedes="cat", since=2.0)
    assert b.ran == ["newer", "same click"]


def test_a_running_click_is_finished_when_a_newer_one_comes() -> None:
    with bench(decodes_apart=False) as b:
        running = b.occupy(Priority.CLICK_DECODE, supersedes="cat")
        newer = b.queue(Priority.CLICK_DECODE, "newer", supersedes="cat")
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
    key = EmbeddingKey("model", "picture")
    embedding = Embedding((np.zeros((1, 1, 1), np.float16),), Size(1, 1), "model")
    cache = EmbeddingCache(1 << 20)
    with bench() as b:

        def ask(priority: Priority) -> Embedding:
            b.lane.boost(key, priority)
            return cache.get_or_encode(key, lambda: b.lane.run(Turn(priority), encode, key=key))[0]

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


def takes(lane: Lane, priority: Priority, seconds: float) -> None:
    """Teaches the lane how long such work takes."""
    lane.run(Turn(priority), lambda: Event().wait(seconds))


def test_a_click_that_would_wait_too_long_is_told_when_to_come_back_and_other_work_is_not() -> None:
    with bench(patience=0.5) as b:
        takes(b.lane, Priority.CLICK_ENCODE, 0.3)
        b.occupy(Priority.VIDEO_FRAME)
        waiting = [b.queue(Priority.CLICK_ENCODE, f"click {n}") for n in range(2)]
        with pytest.raises(Busy, match="warm") as busy:
            b.lane.run(Turn(Priority.CLICK_ENCODE), lambda: None)
        assert busy.value.retry_after
        assert (
            b.lane.run(Turn(Priority.CLICK_DECODE), lambda: 1) == 1
        )  # it goes first, and waits for none of them
        waiting.append(b.queue(Priority.PREWARM, "prewarm"))
        b.go.set()
        for future in waiting:
            future.result()
        assert b.lane.run(Turn(Priority.CLICK_ENCODE), lambda: 1) == 1


def test_a_project_that_asks_for_too_much_does_not_have_the_others_refused() -> None:
    with bench(patience=0.5) as b:
        takes(b.lane, Priority.CLICK_ENCODE, 0.3)
        b.occupy(Priority.VIDEO_FRAME)
        busy = Whose("busy")
        waiting = [b.queue(Priority.CLICK_ENCODE, f"click {n}", whose=busy) for n in range(2)]
        with working_for(busy), pytest.raises(Busy):
            b.lane.run(Turn(Priority.CLICK_ENCODE), lambda: None)
        waiting.append(b.queue(Priority.CLICK_ENCODE, "other", whose=Whose("other")))
        b.go.set()
        for future in waiting:
            future.result()
    assert b.ran == ["click 0", "other", "click 1"]


def test_a_click_that_has_waited_elsewhere_for_long_waits_less_on_the_device() -> None:
    with bench() as b:
        takes(b.lane, Priority.CLICK_ENCODE, 0.1)
        b.occupy(Priority.VIDEO_FRAME)
        waiting = b.queue(Priority.CLICK_ENCODE, "click")
        with asking(Event(), since=monotonic() - ANSWER_SECONDS), pytest.raises(Busy):
            b.lane.run(Turn(Priority.CLICK_ENCODE), lambda: None)
        b.go.set()
        waiting.result()


def test_any_number_of_quick_clicks_wait_their_turn() -> None:
    with bench(decodes_apart=False) as b:
        takes(b.lane, Priority.CLICK_DECODE, 0.001)
        b.occupy(Priority.VIDEO_FRAME)
        with ThreadPoolExecutor(100) as annotators:
            clicks = [
                annotators.submit(b.run, Priority.CLICK_DECODE, f"click {n}", supersedes=n)
                for n in range(100)
            ]
            eventually(lambda: b.waiting == 100)
            b.go.set()
            for click in clicks:
                click.result()
    assert len(b.ran) == 100


def test_a_newer_click_takes_its_older_ones_place_in_a_full_queue() -> None:
    with bench(patience=0.1) as b:
        takes(b.lane, Priority.CLICK_ENCODE, 0.2)
        b.occupy(Priority.VIDEO_FRAME)
        older = b.queue(Priority.CLICK_ENCODE, "older", supersedes="cat")
        newer = b.threads.submit(b.run, Priority.CLICK_ENCODE, "newer", supersedes="cat")
        with pytest.raises(Superseded):
            older.result()
        b.go.set()
        newer.result()


def test_what_nobody_waits_for_any_more_is_left_and_takes_nobodys_place() -> None:
    with bench(patience=0.1) as b:
        takes(b.lane, Priority.CLICK_ENCODE, 0.2)
        b.occupy(Priority.VIDEO_FRAME)
        hung_up = Event()
        with asking(hung_up):
            context = copy_context()
        gone = b.threads.submit(context.run, b.run, Priority.CLICK_ENCODE, "gone")
        eventually(lambda: b.waiting == 1)
        with pytest.raises(Busy):
            b.run(Priority.CLICK_ENCODE, "refused")
        hung_up.set()
        living = b.threads.submit(b.run, Priority.CLICK_ENCODE, "living")
        with pytest.raises(NobodyWaits):
            gone.result()
        b.go.set()
        living.result()
    assert b.ran == ["living"]


def test_one_who_joined_the_work_of_somebody_who_hung_up_gets_it_all_the_same() -> None:
    flights, joined = Flights[str](), Event()

    def gone() -> str:
        assert joined.wait(20)
        raise NobodyWaits("Who asked has hung up.")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(flights.share, "picture", gone)
        eventually(first.running)
        second = threads.submit(flights.share, "picture", lambda: "encoded")
        eventually(lambda: flights.joined == 1 or second.done())
        joined.set()
        with pytest.raises(NobodyWaits):
            first.result()
        assert second.result() == "encoded"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_out_of_memory_says_what_to_change_and_when_to_come_back(error: Exception) -> None:
    def work() -> None:
        raise error

    with bench() as b:
        with pytest.raises(OutOfMemory, match="MODEL") as full:
            b.lane.run(Turn(Priority.CLICK_ENCODE), work)
        assert (full.value.status, bool(full.value.retry_after)) == (503, True)
        with pytest.raises(RuntimeError, match="size"):
            b.lane.run(Turn(Priority.CLICK_ENCODE), lambda: torch.zeros(2) @ torch.zeros(3))


def test_closing_finishes_what_runs_and_refuses_what_waits_and_comes() -> None:
    with bench() as b:
        running = b.occupy(Priority.VIDEO_FRAME)
        waiting = b.queue(Priority.PREWARM, "waiting")
        closing = b.threads.submit(b.lane.close)
        with pytest.raises(NotReady):
            waiting.result()
        with pytest.raises(NotReady):
            b.lane.run(Turn(Priority.CLICK_DECODE), lambda: None)
        assert not closing.done()
        b.go.set()
        closing.result()
        assert running.result()
    assert b.ran == []


def test_work_cannot_wait_for_the_lane_it_runs_on() -> None:
    with bench() as b, pytest.raises(AssertionError, match="can't wait"):
        b.lane.run(Turn(Priority.VIDEO_FRAME), lambda: b.lane.run(Turn(Priority.CLICK_DECODE), lambda: None))
