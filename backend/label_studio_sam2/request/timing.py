"""The time that a request spends in each stage: measured where the work is done, reported where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

_stages: ContextVar[dict[str, float] | None] = ContextVar("stages", default=None)


@contextmanager
def collecting() -> Iterator[dict[str, float]]:
    """Seconds by stage of everything that runs inside, in this thread or in a copy of its context."""
    stages: dict[str, float] = {}
    token = _stages.set(stages)
    try:
        yield stages
    finally:
        _stages.reset(token)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Adds the time spent inside to the stage `name`, where somebody is collecting."""
    stages = _stages.get()
    if stages is None:
        yield
        return
    started = perf_counter()
    try:
        yield
    finally:
        stages[name] = stages.get(name, 0.0) + perf_counter() - started
