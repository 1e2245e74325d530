"""The queue in front of the device: one process owns it, and a click never waits behind work that can wait.

Of one priority, projects take turns, and in a project its tasks, so that nobody waits behind all that another one asks
for. Two threads work on it. One takes everything in the order of `Priority`; the other takes decodes of clicks
only, so that a click on an encoded picture doesn't wait for somebody else's encode (seconds on a CPU). Long
work (a video, tuning) asks for one frame or step at a time and so gives way in between: no such piece begins while
a click is decoded, which would take half of the processor from it.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from threading import Barrier, Condition, Thread, current_thread
from time import monotonic
from typing import TypeVar

import torch
from cachetools import LRUCache

from label_studio_sam2.engine import device
from label_studio_sam2.engine.fairness import Fairness
from label_studio_sam2.engine.turn import CLICK, Priority, Turn
from label_studio_sam2.engine.work import Work
from label_studio_sam2.errors import (
    Busy,
    DeviceFailed,
    NobodyWaits,
    NotReady,
    OutOfMemory,
    ServiceError,
    Superseded,
)

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long a click may be expected to wait for the device; whoever would wait longer is told when to come back."""

ANSWER_SECONDS = 90.0
"""How long after it came a click may be expected to be answered: Label Studio gives up after 100."""

NEWEST = 0.3
"""How much the last piece of work counts in how long its kind is expected to take."""

REMEMBERED_KEYS = 1024
"""Boosts and newest clicks are remembered for this many keys."""


class Lane:
    """Runs work on the device's threads, the most urgent first. Safe to use from any thread.

    `failures` counts how often, one after the other, work ended as nobody expected: with an error of the device's, say.
    """

    def __init__(self, *, patience: float = PATIENCE_SECONDS, decodes_apart: bool = True) -> None:
        """`decodes_apart=False` leaves out the second thread, for a device that bears only one (mps)."""
        self._patience = patience
        self._seconds: dict[Priority, float] = {}
        self._changed = Condition()
        self._waiting: list[Work] = []
        self._running: Counter[Priority] = Counter()
        self._arrivals = 0
        self._boosts: LRUCache[Hashable, Priority] = LRUCache(REMEMBERED_KEYS)
        self._newest: LRUCache[Hashable, float] = LRUCache(REMEMBERED_KEYS)
        self._fairness = Fairness()
        self._closed = False
        self.failures = 0
        self._threads = [
            Thread(
                target=self._work, args=(least_urgent,), name=f"lane-{least_urgent.name.lower()}", daemon=True
            )
            for least_urgent in (max(Priority), Priority.CLICK_DECODE)[: 1 + decodes_apart]
        ]
        for thread in self._threads:
            thread.start()

    def run(self, turn: Turn, work: Callable[[], T], *, key: Hashable | None = None, grad: bool = False) -> T:
        """What `work` returns or raises, after its turn; blocks until then.

        `key` names the work, so that `boost` can raise it. Work runs under `torch.inference_mode` unless it needs
        `grad`. Raises Superseded where the turn is moot, NobodyWaits where who asked has hung up by then, Busy where a
        click would wait too long, OutOfMemory where the device has too little, DeviceFailed where it fails itself, and
        NotReady once the lane is closed.
        """
        assert current_thread() not in self._threads, "work on the lane can't wait for the lane"
        with self._changed:
            item = Work(turn.priority, self._arrivals, work, turn, key, grad)
            self._arrivals += 1
            self._admit(item)
            insort(self._waiting, item)
            self._changed.notify_all()
        answer: Future[T] = item.answer
        return answer.result()

    def boost(self, key: Hashable, priority: Priority) -> None:
        """Somebody needs the work of this name by `priority`: it is raised if it waits, and if it comes later. So a
        click that joins a prewarming encode takes it past the rest of the prewarming queue."""
        with self._changed:
            late = [item for item in self._waiting if item.key == key and item.priority > priority]
            for item in late:
                item.priority = priority
            if late:
                self._waiting.sort()
                self._changed.notify_all()
            else:
                self._boosts[key] = min(priority, self._boosts.get(key, priority))

    def waiting(self) -> Mapping[Priority, int]:
        """How much waits at each priority."""
        with self._changed:
            return {priority: self._count(priority) for priority in Priority}

    def run_on_each(self, work: Callable[[], object]) -> None:
        """Does the work on each of the device's threads at once; returns when all have."""
        together = Barrier(len(self._threads), timeout=self._patience)

        def when_all_are_there() -> None:
            together.wait()
            work()

        with ThreadPoolExecutor(len(self._threads)) as callers:
            list(callers.map(lambda _: self.run(CLICK, when_all_are_there), self._threads))

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

    def _admit(self, item: Work) -> None:
        """Applies what is known of the work's names. Raises NotReady, Superseded, NobodyWaits or Busy."""
        if self._closed:
            raise _closing()
        if item.key is not None:
            item.priority = min(item.priority, self._boosts.pop(item.key, item.priority))
        if item.turn.supersedes is not None:
            self._supersede(item.turn.supersedes, item.since)
        for gone in [one for one in (*self._waiting, item) if not one.wanted()]:
            if gone is item:
                raise _nobody()
            self._waiting.remove(gone)
            gone.answer.set_exception(_nobody())
        if item.priority <= Priority.CLICK_ENCODE and (seconds := self._expected(item)) > self._patience_of(
            item
        ):
            raise Busy(
                f"The clicks that wait for the device already take it another {seconds:.0f} seconds. "
                "Try again then, or encode pictures ahead with `label-studio-sam2 warm`.",
                retry_after=ceil(max(0.0, seconds - self._patience)) + 1,
            )

    def _patience_of(self, item: Work) -> float:
        """How long it may still be expected to wait: it may have waited already, for its picture or a thread."""
        return max(0.0, min(self._patience, item.came + ANSWER_SECONDS - monotonic()))

    def _expected(self, item: Work) -> float:
        """How long what goes first takes, as far as it is known: what of its kind took lately."""
        first = self._fairness.before(item, self._waiting)
        return sum(self._seconds.get(priority, 0.0) * count for priority, count in first.items())

    def _supersede(self, name: Hashable, since: float) -> None:
        newest = self._newest.get(name, since)
        if since < newest:
            raise _moot()
        self._newest[name] = since
        for item in [item for item in self._waiting if item.turn.supersedes == name and item.since < since]:
            self._waiting.remove(item)
            item.answer.set_exception(_moot())

    def _count(self, priority: Priority) -> int:
        return sum(item.priority == priority for item in self._waiting)

    def _work(self, least_urgent: Priority) -> None:
        while (item := self._next(least_urgent)) is not None:
            begun = monotonic()
            try:
                with torch.inference_mode(not item.grad):
                    result = item.run()
            except BaseException as raised:  # noqa: BLE001  whatever it is, it belongs to the caller who waits for it
                error = device.named(raised)
                self._failed(error)
                self._done(item)
                item.answer.set_exception(error)
                del error
            else:
                self.failures = 0
                self._done(item, monotonic() - begun)
                item.answer.set_result(result)
                del result
            del item  # and with it what its closure holds of the device's memory, until the next comes

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, ServiceError) or isinstance(error, OutOfMemory | DeviceFailed):
            self.failures += 1

    def _next(self, least_urgent: Priority) -> Work | None:
        """The most urgent waiting work, removed from the queue; None once the lane is closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or self._may_begin(least_urgent))
                if self._closed:
                    return None
                item = self._fairness.first(self._waiting)
                self._waiting.remove(item)
                if item.wanted():
                    self._running[item.priority] += 1
                    return item
                item.answer.set_exception(_nobody())

    def _may_begin(self, least_urgent: Priority) -> bool:
        if self._running[Priority.CLICK_DECODE]:
            least_urgent = min(least_urgent, Priority.CLICK_ENCODE)
        return bool(self._waiting) and self._waiting[0].priority <= least_urgent

    def _done(self, item: Work, seconds: float | None = None) -> None:
        with self._changed:
            self._running[item.priority] -= 1
            if seconds is not None:
                before = self._seconds.get(item.priority, seconds)
                self._seconds[item.priority] = before + NEWEST * (seconds - before)
            self._changed.notify_all()


def _closing() -> ServiceError:
    return NotReady("The service is stopping. Try again in a few seconds.")


def _moot() -> ServiceError:
    return Superseded("A newer click on the same task and label took this one's place.")


def _nobody() -> ServiceError:
    return NobodyWaits("Who asked has hung up.")
