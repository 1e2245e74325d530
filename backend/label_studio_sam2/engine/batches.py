"""Work of one kind that is done for several who wait, in one turn: as many as wait, and half as many where the memory
is too small."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from operator import add
from threading import Lock
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from label_studio_sam2.engine import device
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import OutOfMemory

Given = TypeVar("Given")
Made = TypeVar("Made")
R = TypeVar("R")


@dataclass(eq=False)
class _One(Generic[Given, Made]):
    content: Given
    answer: Future[Made] = field(default_factory=Future)


class Together(Generic[Given, Made]):
    """`work` makes an answer of each of several things, at most so many at once. Safe to share between threads.

    Each who asks waits in the lane by himself. Whose turn comes first has the work done for those of the same priority
    who wait behind him too, and these find it done when theirs comes.
    """

    def __init__(self, lane: Lane, work: Callable[[Sequence[Given]], list[Made]], most: int) -> None:
        self._lane = lane
        self._work = work
        self._most = most
        self._waiting: dict[Priority, list[_One[Given, Made]]] = {priority: [] for priority in Priority}
        self._lock = Lock()

    def __call__(self, turn: Turn, content: Given, key: Hashable | None = None) -> Made:
        """What the work makes of this. Raises what the work raises, and all that `Lane.run` does."""
        one = _One[Given, Made](content)
        with self._lock:
            self._waiting[turn.priority].append(one)
        try:
            self._lane.run(turn, lambda: self._do(one, turn.priority), key=key)
        finally:
            with self._lock:
                if one in self._waiting[turn.priority]:  # it was moot, or nobody waits for it any more
                    self._waiting[turn.priority].remove(one)
        return one.answer.result()

    def _do(self, first: _One[Given, Made], priority: Priority) -> None:
        with self._lock:
            waiting = self._waiting[priority]
            if first not in waiting:
                return
            waiting.remove(first)
            batch = [first, *waiting[: self._most - 1]]
            del waiting[: self._most - 1]
        try:
            answers = in_halves(self._work, [one.content for one in batch], add)
        except BaseException as error:
            for other in batch[1:]:
                other.answer.set_exception(error)
            raise
        for one, answer in zip(batch, answers, strict=True):
            one.answer.set_result(answer)


def in_halves(work: Callable[[Any], R], things: Sequence[Any] | NDArray[Any], join: Callable[[R, R], R]) -> R:
    """What the work makes of all these, done for half of them at a time, and so on, where the memory is too small for
    more; `join` puts two parts together. Raises OutOfMemory where it is too small for one, and what else the work
    raises."""
    try:
        return work(things)
    except Exception as raised:  # noqa: BLE001  raised again, unless halves may do
        error = device.named(raised)
        if not isinstance(error, OutOfMemory) or len(things) == 1:
            raise error from error.__cause__
    middle = len(things) // 2
    return join(in_halves(work, things[:middle], join), in_halves(work, things[middle:], join))
