"""Waits for what another thread or process is about to do, where there is no event to wait for."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import monotonic


def eventually(condition: Callable[[], bool], seconds: float = 20, every: float = 0.005) -> None:
    """Returns as soon as the condition holds; fails where it doesn't within the time. `every`: seconds between two
    looks, more where a look costs something."""
    never, deadline = Event(), monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never came true"
        never.wait(every)
