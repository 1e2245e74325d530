from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest
from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.jobs import POOLS, Jobs
from label_studio_sam2.background.tracking_run import State, TrackingRun
from label_studio_sam2.background.tracking_runs import TrackingRuns
from label_studio_sam2.errors import Busy
from label_studio_sam2.types import Box, FrameMask, Prompt

from tests.fakes.eventually import eventually

MOST = POOLS[0].kinds["track"]


def run(release: Event, box: float = 1) -> TrackingRun:
    """Of one object of task 1; it goes on until it is released."""

    def follow() -> Iterator[tuple[FrameMask, ...]]:
        while not release.wait(0.01):
            yield ()

    prompts = {"a": {0: Prompt(box=Box(0, 0, box, box))}}
    assignment = Assignment(
        1, "digest", "v", prompts, masks=True, backward=False, frame_rates={"a": (25, 9)}, spans={}
    )
    return TrackingRun(assignment, follow, 9, unawaited=lambda _: None, failed=lambda _: None)


def fill(jobs: Jobs, release: Event) -> None:
    """Until no further track is taken, with a track for each worker that may have one."""

    def refused() -> bool:
        try:
            jobs.submit("track", object(), lambda _: release.wait() and None)
        except Busy:
            return True
        return False

    eventually(lambda: refused() and sum(job["state"] == "running" for job in jobs.list()) == MOST, every=0)
    assert refused()


@pytest.mark.slow
def test_a_run_goes_on_where_no_newer_one_can_take_its_place() -> None:
    release = Event()
    jobs = Jobs()
    try:
        runs = TrackingRuns(jobs)
        older = runs.find_or_start(run(release), "older")
        fill(jobs, release)
        with pytest.raises(Busy):
            runs.find_or_start(run(release, box=2), "newer")
        assert older.state is State.FOLLOWING
        assert runs.find_or_start(run(release), "older again") is older
    finally:
        release.set()
        jobs.close()


def test_of_two_runs_with_an_object_in_common_the_newer_one_goes_on() -> None:
    release = Event()
    jobs = Jobs()
    try:
        runs = TrackingRuns(jobs)
        older = runs.find_or_start(run(release), "older")
        newer = runs.find_or_start(run(release, box=2), "newer")
        assert older.state is State.SUPERSEDED
        release.set()
        eventually(lambda: newer.state is State.COMPLETE)
        assert runs.find_or_start(run(release, box=2), "newer again") is newer
    finally:
        release.set()
        jobs.close()
