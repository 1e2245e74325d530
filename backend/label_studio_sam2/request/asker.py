"""Who waits for what is being done: whether anybody still does, for the client of a request may have hung up meanwhile,
and since when.

Work that many may want once it is begun (a download, an encode on the device) is never broken off for it; what hasn't
begun is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event
from time import monotonic

from label_studio_sam2.errors import NobodyWaits

_hung_up: ContextVar[Event | None] = ContextVar("hung_up", default=None)
_came: ContextVar[float | None] = ContextVar("came", default=None)


@contextmanager
def asking(hung_up: Event, since: float | None = None) -> Iterator[None]:
    """What runs inside, in this thread or in a copy of its context, is for whoever sets the event on hanging up, and
    has waited `since` then (a time of `time.monotonic`; None: since now)."""
    token, came_token = _hung_up.set(hung_up), _came.set(monotonic() if since is None else since)
    try:
        yield
    finally:
        _hung_up.reset(token)
        _came.reset(came_token)


def came() -> float:
    """When the request came, as a time of `time.monotonic`; now, where none waits."""
    since = _came.get()
    return monotonic() if since is None else since


def still_waiting() -> Callable[[], bool]:
    """Tells, from any thread, whether who asks here and now still waits. What no request waits for, a job's, always
    counts as waited for."""
    hung_up = _hung_up.get()
    return (lambda: True) if hung_up is None else (lambda: not hung_up.is_set())


def check() -> None:
    """Raises NobodyWaits where the client has hung up."""
    if not still_waiting()():
        raise NobodyWaits("Who asked has hung up.")
