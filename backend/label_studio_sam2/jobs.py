"""Background jobs: what goes on after a request was answered, with state, progress and a way to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Hashable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from threading import Condition, Event, Thread
from typing import Any
from uuid import uuid4

from label_studio_sam2.errors import Busy, NotReady, ServiceError, UnknownJob

log = logging.getLogger(__name__)

WORKERS = 8
QUEUED = 1000
REMEMBERED = 200

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


@dataclass(eq=False)
class Job:
    """One piece of background work. Its function is given the job, looks at `cancelled` now and then and
    reports `progress`; everybody else reads."""

    kind: str
    key: Hashable
    title: str = ""
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    state: State = State.QUEUED
    done: int = 0
    total: int | None = None
    unit: str = ""
    message: str = ""
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
        """Waits until the job has ended, or so long; whether it has."""
        return self._ended.wait(seconds)

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
            "created": _iso(self.created),
            "started": _iso(self.started),
            "finished": _iso(self.finished),
        }


class Jobs:
    """Runs jobs on a few threads, in order of arrival. Safe to use from any thread.

    One key runs once at a time, and so does each kind named in `one_at_a_time`. The last ended jobs are
    remembered.
    """

    def __init__(self, *, workers: int = WORKERS, one_at_a_time: Collection[str] = ()) -> None:
        self._one_at_a_time = frozenset(one_at_a_time)
        self._jobs: dict[str, Job] = {}
        self._queued: dict[str, Work] = {}
        self._changed = Condition()
        self._closed = False
        self._threads = [Thread(target=self._run, name=f"jobs-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        kind: str,
        key: Hashable,
        work: Work,
        *,
        title: str = "",
        replace: bool = False,
    ) -> Job:
        """The job that does this work. Where one of the same key is queued or running, that one is returned;
        or, with `replace`, cancelled, and the new one runs once it has ended. Raises Busy and, once closed,
        NotReady.
        """
        with self._changed:
            if self._closed:
                raise NotReady("The service is stopping. Try again in a few seconds.")
            for older in [job for job in self._jobs.values() if job.key == key and not job.ended]:
                if not replace and not older.cancelled:
                    return older
                self._cancel(older)
            if len(self._queued) >= QUEUED:
                raise Busy(f"{QUEUED} jobs are waiting already. Wait for some of them, or cancel them.")
            job = Job(kind, key, title)
            self._jobs[job.id], self._queued[job.id] = job, work
            self._changed.notify_all()
            return job

    def get(self, job_id: str) -> dict[str, Any]:
        """A snapshot of the job. Raises UnknownJob."""
        with self._changed:
            return self._known(job_id).snapshot()

    def list(self) -> list[dict[str, Any]]:
        """Snapshots of all jobs, the newest first."""
        with self._changed:
            return [job.snapshot() for job in reversed(self._jobs.values())]

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Asks the job to stop; one that hasn't begun is cancelled at once. Raises UnknownJob."""
        with self._changed:
            job = self._known(job_id)
            self._cancel(job)
            return job.snapshot()

    def close(self) -> None:
        """Cancels everything and waits until it has stopped."""
        with self._changed:
            self._closed = True
            for job in list(self._jobs.values()):
                self._cancel(job)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _known(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise UnknownJob(f"There is no job {job_id}; only the last {REMEMBERED} are remembered.")
        return self._jobs[job_id]

    def _cancel(self, job: Job) -> None:
        job._cancelled.set()
        if self._queued.pop(job.id, None) is not None:
            self._end(job, State.CANCELLED)

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            job = taken[0]
            state, message, result = _carry_out(*taken)
            del taken  # the work may hold a video's worth of memory
            with self._changed:
                job.message, job.result = message or job.message, result
                self._end(job, state)
                self._changed.notify_all()

    def _next(self) -> tuple[Job, Work] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._runnable() is not None)
            job = None if self._closed else self._runnable()
            if job is None:
                return None
            job.state, job.started = State.RUNNING, datetime.now(UTC)
            return job, self._queued.pop(job.id)

    def _runnable(self) -> Job | None:
        running = [job for job in self._jobs.values() if job.state is State.RUNNING]
        keys = {job.key for job in running}
        kinds = {job.kind for job in running} & self._one_at_a_time
        queued = (self._jobs[job_id] for job_id in self._queued)
        return next((job for job in queued if job.key not in keys and job.kind not in kinds), None)

    def _end(self, job: Job, state: State) -> None:
        job.state, job.finished = state, datetime.now(UTC)
        job._ended.set()
        ended = [job.id for job in self._jobs.values() if job.ended]
        for job_id in ended[:-REMEMBERED]:
            del self._jobs[job_id]


def _carry_out(job: Job, work: Work) -> tuple[State, str, Result | None]:
    """The state that the work ends in, a sentence where it failed, and its result."""
    try:
        result = work(job)
    except Exception as error:  # nobody waits for a job: what goes wrong is kept for whoever asks
        if job.cancelled:
            return State.CANCELLED, "", None
        if isinstance(error, ServiceError):
            log.warning("job %s (%s) failed: %s", job.id, job.kind, error.detail)
            return State.FAILED, error.detail, None
        log.exception("job %s (%s) failed", job.id, job.kind)
        return State.FAILED, f"It failed unexpectedly; the log has the traceback under job {job.id}.", None
    return (State.CANCELLED if job.cancelled else State.DONE), "", result


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="milliseconds")
