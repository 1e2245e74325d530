"""The tracks that go on and went on lately: who asks for the same again finds the one that is at it."""

from __future__ import annotations

from collections.abc import Collection
from threading import Lock
from typing import TypeVar

from label_studio_sam2.background.jobs import Jobs
from label_studio_sam2.background.shared.generations import Generations
from label_studio_sam2.background.shared.store import SharedStore
from label_studio_sam2.background.tracking_run import TrackingRun

REMEMBERED_BYTES = 256 << 20
"""Of runs whose masks are kept for the next click. The newest run stays whatever its size."""

Run = TypeVar("Run", bound=TrackingRun)


class TrackingRuns:
    """The last runs. Of two with an object in common, the newer one supersedes the older."""

    def __init__(
        self, jobs: Jobs, remembered_bytes: int = REMEMBERED_BYTES, store: SharedStore | None = None
    ) -> None:
        """`store`: what other replicas follow."""
        store = store or SharedStore()
        store.each_pulse(self._look)
        self._generations = Generations(store)
        self._jobs = jobs
        self._remembered_bytes = remembered_bytes
        self._runs: list[TrackingRun] = []
        self._lock = Lock()

    def find_or_start(self, new: Run, title: str) -> Run:
        """The run that has carried out the same assignment or is at it, else the new one, in the background; who asks
        is expected to wait for it. Raises Busy."""
        with self._lock:
            for run in self._runs:
                if isinstance(run, type(new)) and run.assignment == new.assignment and run.reusable:
                    run.expect()
                    run.asked_again()
                    return run
            new.expect()
            new.start(self._jobs, title, self._generations)
            new.asked_again()
            for older in self._runs:
                if older.assignment.overlaps(new.assignment):
                    older.supersede(self._jobs)
            self._runs = [*self._remembered(), new]
            return new

    def earlier(self, task: int | str | None, digest: str, model_version: str) -> list[TrackingRun]:
        """The runs that are remembered of a task's file and of this version of the model, the newest first."""
        wanted = (task, digest, model_version)
        with self._lock:
            kept = [(run, run.assignment) for run in reversed(self._runs)]
        return [run for run, one in kept if (one.task, one.digest, one.model_version) == wanted]

    def under_way(self, task: int | str | None, objects: Collection[str]) -> set[str]:
        """Those of these objects of a task that are being followed, or wait for it; by any replica."""
        with self._lock:
            runs = [run for run in self._runs if run.under_way and run.assignment.task == task]
        here = {name for run in runs for name in run.assignment.prompts}
        return here.intersection(objects) | self._generations.followed(task, set(objects) - here)

    def before(self, run: TrackingRun) -> int:
        """How many other tracks go first while this one waits for a worker."""
        return run.before(self._jobs)

    def _look(self) -> None:
        """Ends what another replica made moot."""
        with self._lock:
            runs = [run for run in self._runs if run.under_way]
        for run, over in zip(runs, self._generations.over([run.assignment for run in runs]), strict=True):
            if over:
                run.supersede(self._jobs)

    def _remembered(self) -> list[TrackingRun]:
        """What still runs, and of the others the newest, as far as there is room."""
        kept: list[TrackingRun] = []
        room = self._remembered_bytes
        for run in reversed(self._runs):
            room -= run.nbytes
            if run.under_way or (run.reusable and room >= 0):
                kept.append(run)
        return kept[::-1]
