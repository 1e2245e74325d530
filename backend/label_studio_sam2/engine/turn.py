"""When a piece of work has its turn on the device."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class Priority(IntEnum):
    """What goes first on the device."""

    CLICK_DECODE = 0
    CLICK_ENCODE = 1
    VIDEO_FRAME = 2
    TUNING = 3
    PREWARM = 4
    BATCH = 5


class Turn(NamedTuple):
    """When a piece of work is done: by its priority, and unless it is moot by then.

    `supersedes` names whose click it is: as soon as a newer one of that name comes, an older waiting one is moot. A
    click's age is `since` (a value of `time.monotonic()`; None: now).
    """

    priority: Priority
    supersedes: Hashable | None = None
    since: float | None = None


CLICK = Turn(Priority.CLICK_DECODE)


class OnDevice(Protocol):
    """Does a piece of work when the device has its turn."""

    def __call__(self, work: Callable[[], T], /) -> T: ...


def at_once(work: Callable[[], T], /) -> T:
    """For a device that nobody else uses."""
    return work()
