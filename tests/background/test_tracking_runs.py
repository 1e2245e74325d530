from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.jobs import Jobs, Pool
from label_studio_sam2.background.tracking_run import State, TrackingRun
from label_studio_sam2.background.tracking_runs import TrackingRuns
from label_studio_sam2.errors import MediaUnreadable, ServiceError
from label_studio_sam2.types import FrameMask, Point, Prompt

Follow = Callable[[], Iterator[tuple[FrameMask, ...]]]

MASK = np.ones((8, 8), np.bool_)
ASSIGNED = Assignment(
    1, "file", "model-v1", {"a": {0: Prompt((Point(1, 1),))}}, True, False, {"a": (25.0, 9)}, {}
)


def masks(count: int, go: Event | None = None) -> Follow:
    """So many frames; after the first, only once `go` is set."""

    def follow() -> Iterator[tuple[FrameMask, ...]]:
        for frame in range(count):
            yield (FrameMask(frame, "a", MASK, True, 0.9),)
            assert go is None or go.wait(20)

    return follow


def breaking(error: Exception) -> Follow:
    def follow() -> Iterator[tuple[FrameMask, ...]]:
        yield (FrameMask(0, "a", MASK, True, 0.9),)
        raise error

    return follow


@contextmanager
def tracking(**options: int) -> Iterator[tuple[TrackingRuns, list[TrackingRun]]]:
    jobs = Jobs()
    try:
        yield TrackingRuns(jobs, **options), []
    finally:
        jobs.close()


def run_of(follow: Follow, unawaited: list[TrackingRun], **changed: Any) -> TrackingRun:
    given = {name: getattr(ASSIGNED, name) for name in ASSIGNED.__dataclass_fields__} | changed
    return TrackingRun(Assignment(**given), follow, 9, unawaited=unawaited.append, failed=lambda _: None)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), MemoryError(), MediaUnreadable("Cut off.")]
)
def test_whatever_breaks_a_track_ends_it_with_a_sentence_and_it_is_not_remembered(error: Exception) -> None:
    with tracking() as (runs, unawaited):
        broken = runs.find_or_start(run_of(breaking(error), unawaited), "")
        assert broken.wait(monotonic() + 20)
        assert (broken.state, list(broken.found("a"))) == (State.FAILED, [0])
        assert isinstance(broken.error, ServiceError)
        assert broken.error.detail
        again = runs.find_or_start(run_of(masks(3), unawaited), "")
        assert again is not broken
        assert again.wait(monotonic() + 20)
        assert (again.state, list(again.found("a"))) == (State.COMPLETE, [0, 1, 2])
        assert unawaited == []


@pytest.mark.parametrize(
    "changed",
    [
        {"masks": False},
        {"backward": True},
        {"frame_rates": {"a": (24.0, 9)}},
        {"frame_rates": {"a": (25.0, 8)}},
        {"model_version": "model-v2"},
        {"digest": "another file"},
    ],
)
def test_a_track_is_used_again_only_where_all_that_it_depends_on_is_the_same(changed: dict[str, Any]) -> None:
    with tracking() as (runs, unawaited):
        first = runs.find_or_start(run_of(masks(2), unawaited), "")
        assert first.wait(monotonic() + 20)
        assert runs.find_or_start(run_of(masks(2), unawaited), "") is first
        assert first.wait(monotonic() + 20)
        assert runs.find_or_start(run_of(masks(2), unawaited, **changed), "") is not first


def test_a_newer_track_of_the_same_object_supersedes_the_older() -> None:
    go = Event()
    with tracking() as (runs, unawaited):
        older = runs.find_or_start(run_of(masks(3, go), unawaited), "")
        newer = runs.find_or_start(run_of(masks(1), unawaited, model_version="v2"), "")
        assert older.state is State.SUPERSEDED
        go.set()
        assert newer.wait(monotonic() + 20)
        assert newer.state is State.COMPLETE
        assert older not in unawaited


def test_what_nobody_waits_for_any_more_is_handed_on_once_and_what_somebody_waits_for_is_not() -> None:
    go, ended = Event(), Event()

    def unawaited(_run: TrackingRun) -> None:
        ended.set()

    with tracking() as (runs, _):
        impatient = runs.find_or_start(
            TrackingRun(ASSIGNED, masks(2, go), 2, unawaited=unawaited, failed=lambda _: None), ""
        )
        patient = runs.find_or_start(
            TrackingRun(ASSIGNED, masks(2, go), 2, unawaited=unawaited, failed=lambda _: None), ""
        )
        assert impatient is patient
        assert not impatient.wait(monotonic())
        go.set()
        assert patient.wait(monotonic() + 20)
        assert not ended.is_set()
    with tracking() as (runs, _):
        go.clear()
        left = runs.find_or_start(
            TrackingRun(ASSIGNED, masks(2, go), 2, unawaited=unawaited, failed=lambda _: None), ""
        )
        assert not left.wait(monotonic())
        go.set()
        assert ended.wait(20)


def test_a_run_that_was_cancelled_before_it_began_is_not_used_again() -> None:
    jobs, go = Jobs([Pool({"track": 1, "opened": 1}, workers=1, queued=10)]), Event()
    jobs.submit("opened", "busy", lambda _job: go.wait(20) and None)
    runs, unawaited = TrackingRuns(jobs), list[TrackingRun]()
    queued = runs.find_or_start(run_of(masks(2), unawaited), "")
    jobs.cancel(next(job["id"] for job in jobs.list() if job["kind"] == "track"))
    assert queued.wait(monotonic() + 20)
    again = runs.find_or_start(run_of(masks(2), unawaited), "")
    go.set()
    assert again.wait(monotonic() + 20)
    assert (again.state, list(again.found("a"))) == (State.COMPLETE, [0, 1])
    jobs.close()


def test_runs_are_remembered_by_their_size_and_the_newest_always() -> None:
    with tracking(remembered_bytes=1) as (runs, unawaited):
        first = runs.find_or_start(run_of(masks(2), unawaited, task=1), "")
        assert first.wait(monotonic() + 20)
        assert runs.find_or_start(run_of(masks(2), unawaited, task=1), "") is first
        assert first.wait(monotonic() + 20)
        second = runs.find_or_start(run_of(masks(2), unawaited, task=2), "")
        assert second.wait(monotonic() + 20)
        assert runs.find_or_start(run_of(masks(2), unawaited, task=1), "") is not first
