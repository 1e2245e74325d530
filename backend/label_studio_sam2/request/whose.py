"""For whom work is done, so that nobody's much makes others wait for long: a project, and in it a task."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Whose(NamedTuple):
    """None: nobody's in particular."""

    project: Hashable = None
    task: Hashable = None


NOBODYS = Whose()

_whose: ContextVar[Whose] = ContextVar("whose", default=NOBODYS)


@contextmanager
def working_for(whose: Whose) -> Iterator[None]:
    """What runs inside, in this thread or in a copy of its context, is done for these."""
    token = _whose.set(whose)
    try:
        yield
    finally:
        _whose.reset(token)


def whose() -> Whose:
    return _whose.get()
