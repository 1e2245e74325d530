"""Background jobs: what goes on after a request was answered, in pools of workers, each when it is its turn."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Condition, Thread
from time import monotonic
from typing import Any, NamedTuple

from label_studio_sam2.background.job import Job, Result, State, Work
from label_studio_sam2.background.shares import Shares
from label_studio_sam2.errors import Busy, NotReady, ServiceError, UnknownJob, brief
from label_studio_sam2.request.whose import working_for

log = logging.getLogger(__name__)

REMEMBERED = 200
TITLE_CHARACTERS = 200

HELD_BYTES = 512 << 20
"""Of requests that jobs hold until they have ended, as they came."""

CLOSING_SECONDS = 8.0
"""How long a stopping service waits for its jobs; one in a slow download notices nothing for much longer."""


class Pool(NamedTuple):
    """Workers of their own for some kinds of jobs, and how many such jobs may wait."""

    kinds: Mapping[str, int]
    """Each with how many of it may run at once."""
    workers: int
    queued: int


POOLS = (
    Pool({"track": 6, "opened": 4, "warm": 2}, workers=8, queued=200),
    Pool({"masks": 4, "warm project": 1, "follow": 1}, workers=4, queued=200),
    Pool({"fit": 1}, workers=1, queued=50),
)
"""What somebody clicks on or looks at never waits for a worker behind what whole projects ask for, nor an opened task
behind tracks; and no storm of events, each of which may ask for a fit, takes the places of others."""


class Jobs:
    """Runs jobs on a few threads, in order of arrival. Safe to use from any thread.

    The last ended jobs are remembered.
    """

    def __init__(self, pools: Sequence[Pool] = POOLS, *, held_bytes: int = HELD_BYTES) -> None:
        self._pools = {kind: pool for pool in pools for kind in pool.kinds}
        self._held_bytes = held_bytes
        self._jobs: dict[str, Job] = {}
        self._queued: dict[str, Work] = {}
        self._changed = Condition()
        self._closed = False
        self._threads = [
            Thread(target=self._run, args=(pool,), name=f"jobs-{place}-{n}", daemon=True)
            for place, pool in enumerate(pools)
            for n in range(pool.workers)
        ]
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
        turn: Hashable = None,
        nbytes: int = 0,
    ) -> Job:
        """The job that does this work. Where one of the same key is queued or running, that one is returned;
        or, with `replace`, cancelled, and the new one runs once it has ended.

        Jobs of one kind and `turn` (None: of one key) run one after the other. `nbytes` is what the work holds of its
        request. Raises Busy and, once closed, NotReady.
        """
        with self._changed:
            if self._closed:
                raise NotReady("The service is stopping. Try again in a few seconds.")
            olders = [job for job in self._jobs.values() if job.key == key and not job.ended]
            if not replace and (running := [job for job in olders if not job.cancelled]):
                return running[0]
            self._make_sure_of_room(kind, nbytes, sum(job.id in self._queued for job in olders))
            for older in olders:
                self._cancel(older)
            turn = kind, key if turn is None else turn
            job = Job(kind, key, turn, nbytes, brief(title, TITLE_CHARACTERS))
            self._jobs[job.id], self._queued[job.id] = job, work
            self._changed.notify_all()
            return job

    def before(self, job: Job) -> int:
        """How many jobs of its kind go first while this one waits, as long as no others come; 0 where it waits for a
        worker alone."""
        with self._changed:
            if job.state is not State.QUEUED:
                return 0
            same = [one for one in self._jobs.values() if one.kind == job.kind and not one.ended]
            running = [one for one in same if one.id not in self._queued]
            waiting = [one for one in same if one.id in self._queued]
            before = len(running) + _place(job, waiting, Shares(one.whose for one in running))
            return before if before >= self._pools[job.kind].kinds[job.kind] else 0

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

    def close(self, seconds: float = CLOSING_SECONDS) -> None:
        """Cancels everything and waits so long until it has stopped. What hasn't by then ends as interrupted: its
        thread goes with the process."""
        with self._changed:
            self._closed = True
            for job in list(self._jobs.values()):
                self._cancel(job)
            self._changed.notify_all()
        until = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        with self._changed:
            for job in [job for job in self._jobs.values() if not job.ended]:
                log.warning("job %s (%s) is interrupted: the service stops", job.id, job.kind)
                self._end(job, State.INTERRUPTED)

    def _make_sure_of_room(self, kind: str, nbytes: int, leaving: int) -> None:
        pool = self._pools[kind]
        queued = sum(self._jobs[job_id].kind in pool.kinds for job_id in self._queued) - leaving
        if queued >= pool.queued:
            raise Busy(f"{queued} jobs are waiting already. Wait for some of them, or cancel them.")
        held = sum(job.nbytes for job in self._jobs.values() if not job.ended)
        if nbytes and held + nbytes > self._held_bytes:
            raise Busy(
                f"The jobs that wait or run hold {held >> 20} MiB of requests already. Wait for some of them, cancel "
                "them, or send fewer tasks at once."
            )

    def _known(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise unknown(job_id)
        return self._jobs[job_id]

    def _cancel(self, job: Job) -> None:
        job._cancelled.set()
        if self._queued.pop(job.id, None) is not None:
            self._end(job, State.CANCELLED)

    def _run(self, pool: Pool) -> None:
        while (taken := self._next(pool)) is not None:
            job = taken[0]
            state, message, result = _carry_out(*taken)
            del taken  # the work may hold a video's worth of memory
            with self._changed:
                if not job.ended:
                    job.message, job.result = message or job.message, result
                    self._end(job, state)
                self._changed.notify_all()

    def _next(self, pool: Pool) -> tuple[Job, Work] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._runnable(pool) is not None)
            job = None if self._closed else self._runnable(pool)
            if job is None:
                return None
            job.state, job.started = State.RUNNING, datetime.now(UTC)
            return job, self._queued.pop(job.id)

    def _runnable(self, pool: Pool) -> Job | None:
        """Whose project, and in it whose task, has the fewest running; of these the one that came first."""
        running = [job for job in self._jobs.values() if job.state is State.RUNNING]
        turns, kinds = {job.turn for job in running}, Counter(job.kind for job in running)
        free = {kind for kind, most in pool.kinds.items() if kinds[kind] < most}
        queued = (self._jobs[job_id] for job_id in self._queued)
        runnable = [job for job in queued if job.kind in free and job.turn not in turns]
        shares = Shares(job.whose for job in running if job.kind in pool.kinds)
        return min(runnable, key=lambda job: shares.of(job.whose), default=None)

    def _end(self, job: Job, state: State) -> None:
        job.state, job.finished = state, datetime.now(UTC)
        job._ended.set()
        ended = [job.id for job in self._jobs.values() if job.ended]
        for job_id in ended[:-REMEMBERED]:
            del self._jobs[job_id]


def _place(job: Job, waiting: list[Job], shares: Shares) -> int:
    """How many of those that wait begin before it does."""
    left = list(waiting)
    while (first := min(left, key=lambda one: shares.of(one.whose))) is not job:
        shares.add(first.whose)
        left.remove(first)
    return len(waiting) - len(left)


def unknown(job_id: str) -> UnknownJob:
    return UnknownJob(f"There is no job {job_id}; only the last {REMEMBERED} are remembered.")


def _carry_out(job: Job, work: Work) -> tuple[State, str, Result | None]:
    """The state that the work ends in, a sentence where it failed, and its result."""
    try:
        with working_for(job.whose):
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
