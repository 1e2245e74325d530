"""One piece of background work: its state, its progress, and a way to stop it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event
from time import monotonic
from typing import Any
from uuid import uuid4

from label_studio_sam2.request.asker import still_waiting
from label_studio_sam2.request.whose import Whose, whose

LOOK_SECONDS = 0.5
"""Between two looks whether who waits for a job has hung up."""

Result = Mapping[str, Any]
"""What a job has to say at its end: small, and ready for JSON."""

Work = Callable[["Job"], Result | None]
"""Is given its job, looks at `cancelled` now and then, and reports `progress`."""


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(eq=False)
class Job:
    """One piece of background work. Its function is given the job, looks at `cancelled` now and then and
    reports `progress`; everybody else reads."""

    kind: str
    key: Hashable
    turn: Hashable
    nbytes: int = 0
    title: str = ""
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    state: State = State.QUEUED
    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""
    whose: Whose = field(default_factory=whose)
    result: Result | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    finished: datetime | None = None
    _cancelled: Event = field(default_factory=Event, repr=False)
    _ended: Event = field(default_factory=Event, repr=False)

    @property
    def cancelled(self) -> bool:
        """Whether the work is asked to stop: it should return soon, with what it has or nothing."""
        return self._cancelled.is_set()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def go_on(self) -> None:
        """Raises CancelledError where the work is asked to stop; the job then ends as cancelled."""
        if self.cancelled:
            raise CancelledError

    def progress(self, done: int, total: int | None = None, unit: str = "", message: str = "") -> None:
        """How much is done, of how much (None: not known), counted in what; and what goes on, in words."""
        self.done, self.total, self.unit, self.message = done, total, unit, message

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the job has ended, or so long, or until who asks has hung up; whether it has ended."""
        wanted, until = still_waiting(), None if seconds is None else monotonic() + seconds
        while wanted() and not self.ended:
            left = LOOK_SECONDS if until is None else until - monotonic()
            if left <= 0:
                break
            self._ended.wait(min(LOOK_SECONDS, left))
        return self.ended

    def snapshot(self) -> dict[str, Any]:
        """The job as GET /jobs shows it; times are ISO 8601 in UTC."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state.value,
            "progress": {"done": self.done, "total": self.total, "unit": self.unit},
            "message": self.message,
            "result": self.result,
            "created": iso(self.created),
            "started": iso(self.started),
            "finished": iso(self.finished),
        }


def iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")
