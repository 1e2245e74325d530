"""The queue in front of the device: one process owns it, and a click never waits behind work that can wait.

Two threads work on it. One takes everything in the order of `Priority`; the other takes decodes of clicks
only, so that a click on an encoded picture doesn't wait for somebody else's encode (seconds on a CPU). Long
work (a video, tuning) asks for one frame or step at a time and so gives way in between: no such piece begins while
a click is decoded, which would take half of the processor from it.
"""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from threading import Condition, Thread, current_thread
from typing import Any, TypeVar

import torch

from label_studio_sam2.errors import Busy, NotReady, ServiceError, Superseded

T = TypeVar("T")

WAITING_CLICKS = 32
"""More than a click's share of a minute on the slowest device; whoever comes later is told to come back."""

REMEMBERED_KEYS = 1024
"""Boosts and newest clicks are remembered for this many keys."""


class Priority(IntEnum):
    """What goes first on the device."""

    CLICK_DECODE = 0
    CLICK_ENCODE = 1
    VIDEO_FRAME = 2
    TUNING = 3
    PREWARM = 4
    BATCH = 5


Observe = Callable[[Priority, float, float], None]
"""Told of each piece of work done: its priority, the seconds it waited and the seconds it ran."""


@dataclass(order=True)
class _Work:
    priority: Priority
    number: int
    run: Callable[[], Any] = field(compare=False)
    key: Hashable | None = field(compare=False)
    supersede: Hashable | None = field(compare=False)
    since: float = field(compare=False)
    grad: bool = field(compare=False)
    arrived: float = field(compare=False, default_factory=time.monotonic)
    answer: Future[Any] = field(compare=False, default_factory=Future)


class Lane:
    """Runs work on the device's threads, the most urgent first. Safe to use from any thread."""

    def __init__(
        self,
        *,
        waiting_clicks: int = WAITING_CLICKS,
        decodes_apart: bool = True,
        observe: Observe | None = None,
    ) -> None:
        """`decodes_apart=False` leaves out the second thread, for a device that bears only one (mps)."""
        self._waiting_clicks = waiting_clicks
        self._observe = observe
        self._changed = Condition()
        self._waiting: list[_Work] = []
        self._running: Counter[Priority] = Counter()
        self._arrivals = 0
        self._boosts: OrderedDict[Hashable, Priority] = OrderedDict()
        self._newest: OrderedDict[Hashable, float] = OrderedDict()
        self._closed = False
        self._threads = [
            Thread(
                target=self._work, args=(least_urgent,), name=f"lane-{least_urgent.name.lower()}", daemon=True
            )
            for least_urgent in (max(Priority), Priority.CLICK_DECODE)[: 1 + decodes_apart]
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self,
        priority: Priority,
        work: Callable[[], T],
        *,
        key: Hashable | None = None,
        supersede: Hashable | None = None,
        since: float | None = None,
        grad: bool = False,
    ) -> T:
        """What `work` returns or raises, after its turn; blocks until then.

        `key` names the work, so that `boost` can raise it. `supersede` names whose click it is: as soon as a
        newer one of that name comes, an older waiting one raises Superseded. A click's age is `since` (a
        value of `time.monotonic()`; now, if not given). Work runs under `torch.inference_mode` unless it
        needs `grad`. Raises Busy where too many clicks wait, and NotReady once the lane is closed.
        """
        assert current_thread() not in self._threads, "work on the lane can't wait for the lane"
        with self._changed:
            since = time.monotonic() if since is None else since
            item = _Work(priority, self._arrivals, work, key, supersede, since, grad)
            self._arrivals += 1
            self._admit(item)
            insort(self._waiting, item)
            self._changed.notify_all()
        answer: Future[T] = item.answer
        return answer.result()

    def boost(self, key: Hashable, priority: Priority) -> None:
        """Somebody needs the work of this name by `priority`: it is raised if it waits, and if it comes
        later.

        So a click that joins a prewarming encode takes it past the rest of the prewarming queue, even where
        that encode is still on its way to the lane.
        """
        with self._changed:
            late = [item for item in self._waiting if item.key == key and item.priority > priority]
            for item in late:
                item.priority = priority
            if late:
                self._waiting.sort()
                self._changed.notify_all()
            else:
                _remember(self._boosts, key, min(priority, self._boosts.get(key, priority)))

    def waiting(self) -> Mapping[Priority, int]:
        """How much waits at each priority."""
        with self._changed:
            return {priority: self._count(priority) for priority in Priority}

    def running(self) -> Mapping[Priority, int]:
        """How much runs at each priority."""
        with self._changed:
            return {priority: self._running[priority] for priority in Priority}

    def close(self) -> None:
        """Finishes what runs; what waits and what comes raises NotReady."""
        with self._changed:
            self._closed = True
            for item in self._waiting:
                item.answer.set_exception(_closing())
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _admit(self, item: _Work) -> None:
        """Applies what is known of the work's names. Raises NotReady, Superseded or Busy."""
        if self._closed:
            raise _closing()
        if item.key is not None:
            item.priority = min(item.priority, self._boosts.pop(item.key, item.priority))
        if item.supersede is not None:
            self._supersede(item.supersede, item.since)
        clicks = self._count(Priority.CLICK_DECODE) + self._count(Priority.CLICK_ENCODE)
        if item.priority <= Priority.CLICK_ENCODE and clicks >= self._waiting_clicks:
            raise Busy(f"{clicks} clicks wait for the device already. Try again in a few seconds.")

    def _supersede(self, name: Hashable, since: float) -> None:
        newest = self._newest.get(name, since)
        if since < newest:
            raise _moot()
        _remember(self._newest, name, since)
        for item in [item for item in self._waiting if item.supersede == name and item.since < since]:
            self._waiting.remove(item)
            item.answer.set_exception(_moot())

    def _count(self, priority: Priority) -> int:
        return sum(item.priority == priority for item in self._waiting)

    def _work(self, least_urgent: Priority) -> None:
        while (item := self._next(least_urgent)) is not None:
            started = time.monotonic()
            try:
                with torch.inference_mode(not item.grad):
                    result = item.run()
            except BaseException as error:  # noqa: BLE001  whatever it is, it belongs to the caller who waits for it
                self._done(item, started)
                item.answer.set_exception(error)
            else:
                self._done(item, started)
                item.answer.set_result(result)

    def _next(self, least_urgent: Priority) -> _Work | None:
        """The most urgent waiting work, removed from the queue; None once the lane is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._may_begin(least_urgent))
            if self._closed:
                return None
            item = self._waiting.pop(0)
            self._running[item.priority] += 1
            return item

    def _may_begin(self, least_urgent: Priority) -> bool:
        if self._running[Priority.CLICK_DECODE]:
            least_urgent = min(least_urgent, Priority.CLICK_ENCODE)
        return bool(self._waiting) and self._waiting[0].priority <= least_urgent

    def _done(self, item: _Work, started: float) -> None:
        with self._changed:
            self._running[item.priority] -= 1
            self._changed.notify_all()
        if self._observe is not None:
            self._observe(item.priority, started - item.arrived, time.monotonic() - started)


def _remember(memory: OrderedDict[Hashable, Any], key: Hashable, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED_KEYS:
        memory.popitem(last=False)


def _closing() -> ServiceError:
    return NotReady("The service is stopping. Try again in a few seconds.")


def _moot() -> ServiceError:
    return Superseded("A newer click on the same task and label took this one's place.")
