"""Tracking that goes on by itself: what was found so far stays readable while a job adds to it, and after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from label_studio_sam2.errors import ServiceError
from label_studio_sam2.jobs import Job, Jobs
from label_studio_sam2.labelstudio.video_regions import Tracked
from label_studio_sam2.types import FrameMask, Prompt

REMEMBERED_RUNS = 16
"""Runs whose masks are kept for the next click: some 6 kB for each object and frame."""

UNIT = "frames"

Found = Mapping[int, Tracked | None]
"""One object's frames of the file: where it was visible, and where it was looked for in vain."""

Follow = Callable[[], Iterable[tuple[FrameMask, ...]]]


@dataclass(frozen=True)
class Assignment:
    """What is to be followed: objects of one task, each with the prompts that the annotator gave, in one file, and by
    which version of the model."""

    task: int | str | None
    digest: str
    model_version: str
    prompts: Mapping[str, Mapping[int, Prompt]]

    def overlaps(self, other: Assignment) -> bool:
        return self.task == other.task and not self.prompts.keys().isdisjoint(other.prompts)


class Run:
    """One assignment's results so far. Written by its job, read by requests."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.superseded = False
        self.trouble: ServiceError | None = None
        self.job: Job | None = None
        self._found: dict[str, dict[int, Tracked | None]] = {}
        self._lock = Lock()
        self._complete = False
        self._awaited = True

    def wait(self, until: float) -> bool:
        """Whether it has ended by then (a time of `time.monotonic`); if not, nobody waits for it any more."""
        assert self.job is not None
        self.job.wait(max(0.0, until - monotonic()))
        with self._lock:
            self._awaited = self._complete or self.job.ended
            return self._awaited

    def found(self, name: str) -> Found:
        """What is known of an object by now."""
        with self._lock:
            return dict(self._found.get(name, {}))

    def carry_out(self, job: Job, follow: Follow, total: int, *, with_masks: bool) -> bool:
        """Follows until the end, or until the job is cancelled; whether somebody still waits for the answer."""
        try:
            for done, masks in enumerate(follow(), 1):
                self._add([(m.object_id, m.frame, Tracked.of(m, with_mask=with_masks)) for m in masks])
                job.progress(done, total, UNIT)
                if job.cancelled:
                    break
        except ServiceError as error:
            self.trouble = error
            raise
        with self._lock:
            self._complete = True
            return self._awaited

    def await_again(self) -> None:
        """Another request wants it."""
        with self._lock:
            self._awaited = True

    def _add(self, rows: list[tuple[str, int, Tracked | None]]) -> None:
        with self._lock:
            for name, frame, tracked in rows:
                self._found.setdefault(name, {})[frame] = tracked


class Runs:
    """The last runs. Of two with an object in common, the newer one cancels the older."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._runs: list[Run] = []
        self._lock = Lock()

    def find_or_start(self, assignment: Assignment, carry_out: Callable[[Run, Job], None], title: str) -> Run:
        """The run that has done this or is at it; else a new one, in the background. Raises Busy."""
        with self._lock:
            for run in self._runs:
                if run.assignment == assignment and run.trouble is None and run.job and not run.job.cancelled:
                    run.await_again()
                    return run
            for older in self._runs:
                if older.job and not older.job.ended and older.assignment.overlaps(assignment):
                    older.superseded = True
                    self._jobs.cancel(older.job.id)
            run = Run(assignment)
            run.job = self._jobs.submit(
                "track", ("track", id(run)), lambda job: carry_out(run, job), title=title
            )
            self._runs = [*self._runs[1 - REMEMBERED_RUNS :], run]
            return run
