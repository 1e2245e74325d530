"""Whether anybody still waits for what is being done: the client of a request may have hung up meanwhile.

Work that many may want once it is begun (a download, an encode on the device) is never broken off for it; what hasn't
begun is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from label_studio_sam2.errors import NobodyWaits

_hung_up: ContextVar[Event | None] = ContextVar("hung_up", default=None)


@contextmanager
def asking(hung_up: Event) -> Iterator[None]:
    """What runs inside, in this thread or in a copy of its context, is for whoever sets the event on hanging up."""
    token = _hung_up.set(hung_up)
    try:
        yield
    finally:
        _hung_up.reset(token)


def still_waiting() -> Callable[[], bool]:
    """Tells, from any thread, whether who asks here and now still waits. What no request waits for, a job's, always
    counts as waited for."""
    hung_up = _hung_up.get()
    return (lambda: True) if hung_up is None else (lambda: not hung_up.is_set())


def check() -> None:
    """Raises NobodyWaits where the client has hung up."""
    if not still_waiting()():
        raise NobodyWaits("Who asked has hung up.")
