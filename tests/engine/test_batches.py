from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import add
from threading import Event

import pytest
from label_studio_sam2.engine.batches import Together, in_halves
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import NotReady, OutOfMemory

from tests.fakes.eventually import eventually
from tests.fakes.faulty_networks import FULL


@dataclass
class Squares:
    """Work on numbers: `batches` are those that it was given, `room` is for so many at once."""

    room: int = 1000
    batches: list[list[int]] = field(default_factory=list)

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        if len(numbers) > self.room:
            raise FULL
        self.batches.append(list(numbers))
        if 13 in numbers:
            raise ValueError("13")
        return [number**2 for number in numbers]


@dataclass
class Bench:
    """A lane that is held up until `go`, so that what comes waits together."""

    lane: Lane
    threads: ThreadPoolExecutor
    go: Event

    def ask(
        self, together: Together[int, int], numbers: Sequence[int], priority: Priority
    ) -> list[Future[int]]:
        asked = []
        for number in numbers:
            waiting = sum(self.lane.waiting().values())
            asked.append(self.threads.submit(together, Turn(priority), number))
            eventually(lambda before=waiting: sum(self.lane.waiting().values()) > before)  # type: ignore[misc]
        return asked


@contextmanager
def held_up() -> Iterator[Bench]:
    lane, go, begun = Lane(), Event(), Event()

    def hold() -> None:
        begun.set()
        assert go.wait(20)

    with ThreadPoolExecutor(16) as threads:
        held = threads.submit(lane.run, Turn(Priority.VIDEO_FRAME), hold)
        assert begun.wait(20)
        try:
            yield Bench(lane, threads, go)
        finally:
            go.set()
            held.result()
            lane.close()


def test_what_waits_is_done_together_as_many_at_once_as_may_be_and_those_of_one_priority_only() -> None:
    work = Squares()
    with held_up() as bench:
        together = Together(bench.lane, work, most=3)
        batch = bench.ask(together, range(4), Priority.BATCH)
        warming = bench.ask(together, [7, 8], Priority.PREWARM)
        bench.go.set()
        assert [one.result() for one in (*batch, *warming)] == [0, 1, 4, 9, 49, 64]
    assert work.batches == [[7, 8], [0, 1, 2], [3]]


def test_one_at_a_time_stays_one_at_a_time() -> None:
    work = Squares()
    with held_up() as bench:
        asked = bench.ask(Together(bench.lane, work, most=1), range(3), Priority.BATCH)
        bench.go.set()
        assert [one.result() for one in asked] == [0, 1, 4]
    assert work.batches == [[0], [1], [2]]


def test_what_goes_wrong_with_a_batch_is_told_to_all_whose_it_was_and_to_nobody_else() -> None:
    with held_up() as bench:
        asked = bench.ask(Together(bench.lane, Squares(), most=2), [12, 13, 14], Priority.BATCH)
        bench.go.set()
        for one in asked[:2]:
            with pytest.raises(ValueError, match="13"):
                one.result()
        assert asked[2].result() == 196


def test_whoever_is_refused_is_in_no_batch() -> None:
    work = Squares()
    with held_up() as bench:
        together = Together(bench.lane, work, most=4)
        (refused,) = bench.ask(together, [5], Priority.BATCH)
        closing = bench.threads.submit(bench.lane.close)
        with pytest.raises(NotReady):
            refused.result()
        bench.go.set()
        closing.result()
    assert work.batches == []


@pytest.mark.parametrize(("room", "sizes"), [(8, [5]), (4, [2, 3]), (2, [2, 1, 2]), (1, [1, 1, 1, 1, 1])])
def test_where_memory_is_too_small_for_all_it_is_done_in_halves(room: int, sizes: list[int]) -> None:
    work = Squares(room)
    assert in_halves(work, range(5), add) == [0, 1, 4, 9, 16]
    assert [len(batch) for batch in work.batches] == sizes


def test_where_memory_is_too_small_for_one_that_is_said() -> None:
    with pytest.raises(OutOfMemory, match="MODEL"):
        in_halves(Squares(room=0), range(3), add)
