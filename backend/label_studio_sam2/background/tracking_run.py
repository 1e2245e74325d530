"""Tracking that goes on by itself: what was found so far stays readable while a job adds to it, and after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from threading import Event, Lock
from time import monotonic

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.job import Job
from label_studio_sam2.background.jobs import Jobs
from label_studio_sam2.background.shared.generations import Generations
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.labelstudio.regions.doubts import Signals
from label_studio_sam2.labelstudio.regions.tracks import Tracked
from label_studio_sam2.types import FrameMask

SIGNALS_BYTES = 300
"""About what a frame's signals take."""

KIND = "track"

TrackedFrames = Mapping[int, Tracked | None]
"""One object's frames of the file: where it was visible, and where it was looked for in vain."""

Follow = Callable[[], Iterable[Sequence[FrameMask]]]
"""Begins to follow the objects, and gives the masks of one frame after the other."""


class State(Enum):
    """FOLLOWING becomes one of the others, once and for good."""

    FOLLOWING = auto()
    COMPLETE = auto()
    FAILED = auto()
    SUPERSEDED = auto()
    CANCELLED = auto()


class TrackingRun:
    """One assignment and what came of it so far. Carried out by its job, read by requests."""

    def __init__(
        self,
        assignment: Assignment,
        follow: Follow,
        total: int,
        *,
        unawaited: Callable[[TrackingRun], None],
        failed: Callable[[ServiceError], None],
        unreadable: Mapping[int, ServiceError] | None = None,
    ) -> None:
        """`total` is how many frames `follow` gives; `unawaited` is called at the end where no request waits for it,
        `failed` as soon as it fails, whoever waits. `unreadable` fills with what is wrong with frames that are passed
        over."""
        self.assignment = assignment
        self._unreadable: Mapping[int, ServiceError] = {} if unreadable is None else unreadable
        self.state = State.FOLLOWING
        self.error: ServiceError | None = None
        self.nbytes = 0
        self._follow = follow
        self._total = total
        self._unawaited = unawaited
        self._failed = failed
        self._found: dict[str, dict[int, Tracked | None]] = {}
        self._signals: dict[str, dict[int, Signals]] = {}
        self._lock = Lock()
        self._waiting = 0
        self._job: Job | None = None
        self._generations: Generations | None = None
        self._told = Event()

    @property
    def total(self) -> int:
        """How many frames there are to follow, as far as that is known."""
        return self._total

    @property
    def reusable(self) -> bool:
        """Whether it has what the next click asks for, or will have it."""
        return self.state is State.COMPLETE or self.under_way

    @property
    def under_way(self) -> bool:
        """Also a job that never began can have been cancelled."""
        return self.state is State.FOLLOWING and not (self._job and self._job.cancelled)

    @property
    def unreadable(self) -> dict[int, ServiceError]:
        """By frame, what is wrong with those that were passed over by now."""
        return dict(self._unreadable)

    def start(self, jobs: Jobs, title: str, generations: Generations) -> None:
        """Raises Busy."""
        self._generations = generations
        self._job = jobs.submit(KIND, (KIND, id(self)), self.carry_out, title=title)

    def asked_again(self) -> None:
        """The newest request for its objects is one for this run."""
        assert self._generations is not None
        self._generations.begin(self.assignment)
        self._told.set()

    def before(self, jobs: Jobs) -> int:
        """How many other tracks go first while it waits for a worker."""
        return jobs.before(self._job) if self._job is not None else 0

    def supersede(self, jobs: Jobs) -> None:
        """A newer run takes an object of this one."""
        if self._ends(State.SUPERSEDED) and self._job is not None:
            jobs.cancel(self._job.id)

    def expect(self) -> None:
        """A request will wait for it."""
        with self._lock:
            self._waiting += 1

    def wait(self, until: float) -> bool:
        """For who has called `expect`: whether it has ended by then (a time of `time.monotonic`)."""
        assert self._job is not None
        self._job.wait(max(0.0, until - monotonic()))
        with self._lock:
            self._waiting -= 1
            return self.state is not State.FOLLOWING or self._job.ended

    def found(self, name: str) -> TrackedFrames:
        """What is known of an object by now."""
        with self._lock:
            return dict(self._found.get(name, {}))

    def signals(self, name: str) -> Mapping[int, Signals]:
        """What tells, by now, on which frames the object may have been lost."""
        with self._lock:
            return dict(self._signals.get(name, {}))

    def take_over(self, earlier: TrackingRun, name: str, frames: Iterable[int]) -> None:
        """Has what an earlier run found of an object on these frames, as far as it did."""
        found, signals = earlier.found(name), earlier.signals(name)
        known = [frame for frame in frames if frame in found]
        with self._lock:
            self._found.setdefault(name, {}).update((frame, found[frame]) for frame in known)
            self._signals.setdefault(name, {}).update((frame, signals[frame]) for frame in known)
            self.nbytes += sum(_nbytes(found[frame]) for frame in known)

    def carry_out(self, job: Job) -> None:
        """Follows until the end, or until the job is cancelled."""
        try:
            self._carry_out(job)
        finally:
            self._told.wait()
            if self._generations is not None:
                self._generations.end(self.assignment)

    def _carry_out(self, job: Job) -> None:
        following = self._follow()
        self._follow = lambda: iter(())  # the video's file is held no longer than it is read
        try:
            for done, masks in enumerate(following, 1):
                self._add(masks)
                job.progress(done, self.total, "frames")
                if job.cancelled:
                    self._ends(State.CANCELLED)
                    return
        except Exception as error:
            if not job.cancelled:
                self.error = error if isinstance(error, ServiceError) else _unexpected(job)
                self._failed(self.error)
            self._ends(State.CANCELLED if job.cancelled else State.FAILED)
            raise
        if self._over():
            self._ends(State.SUPERSEDED)
        elif self._ends(State.COMPLETE, unawaited=True) and self._leads():
            self._unawaited(self)

    def _over(self) -> bool:
        """Whether another replica was asked for something newer of its objects."""
        self._told.wait()  # else what was asked for before it may stand there still
        return self._generations is not None and self._generations.over([self.assignment])[0]

    def _leads(self) -> bool:
        """Whether no other replica is at the same since."""
        return self._generations is None or self._generations.leads(self.assignment)

    def _ends(self, state: State, *, unawaited: bool = False) -> bool:
        """Whether this is how it ends; with `unawaited`, whether it does so and no request waits for it."""
        with self._lock:
            ends = self.state is State.FOLLOWING
            if ends:
                self.state = state
            return ends and not (unawaited and self._waiting)

    def _add(self, masks: Iterable[FrameMask]) -> None:
        rows = [(one, Tracked.of(one, with_mask=self.assignment.masks), Signals.of(one)) for one in masks]
        with self._lock:
            for one, tracked, signals in rows:
                self._found.setdefault(one.object_id, {})[one.frame] = tracked
                self._signals.setdefault(one.object_id, {})[one.frame] = signals
                self.nbytes += _nbytes(tracked)


def _nbytes(tracked: Tracked | None) -> int:
    """About what a frame of an object takes in memory."""
    return (tracked.nbytes if tracked else 0) + SIGNALS_BYTES


def _unexpected(job: Job) -> ServiceError:
    return ServiceError(
        f"Tracking failed unexpectedly; the service's log has the traceback under job {job.id}. Try again."
    )
