from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import pytest
from label_studio_sam2.background.job import Job, State
from label_studio_sam2.background.jobs import REMEMBERED, Jobs, Pool
from label_studio_sam2.errors import Busy, MediaUnavailable, NotReady, UnknownJob
from label_studio_sam2.request.whose import Whose, working_for

from tests.fakes.eventually import eventually


@dataclass
class Work:
    """Begins, waits for `go` or its cancellation, and returns how it went."""

    begun: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)

    def __call__(self, job: Job) -> dict[str, int]:
        self.begun.set()
        while not self.go.wait(0.005) and not job.cancelled:
            pass
        return {"frames": 3}


@contextmanager
def jobs(workers: int = 2, queued: int = 1000, held_bytes: int = 1000) -> Iterator[Jobs]:
    """One pool for the kinds of these tests; of fits, one runs at a time."""
    jobs = Jobs(
        [Pool({"track": workers, "masks": workers, "fit": 1}, workers, queued)], held_bytes=held_bytes
    )
    try:
        yield jobs
    finally:
        jobs.close()


def begin(jobs: Jobs, key: str = "a", kind: str = "track", *, replace: bool = False) -> tuple[Job, Work]:
    work = Work()
    job = jobs.submit(kind, key, work, replace=replace)
    assert work.begun.wait(20)
    return job, work


def end(job: Job, work: Work) -> None:
    work.go.set()
    assert job.wait(20)


def test_a_job_is_queued_runs_and_is_done_with_its_result() -> None:
    with jobs(workers=1) as running:
        first, work = begin(running)
        second = running.submit("track", "b", lambda job: None, title="clip 2")
        assert [shown["state"] for shown in running.list()] == ["queued", "running"]
        end(first, work)
        assert second.wait(20)
        shown = running.get(first.id)
    assert (shown["state"], shown["result"]) == ("done", {"frames": 3})
    assert shown["created"] <= shown["started"] <= shown["finished"]
    assert json.loads(json.dumps(shown)) == shown
    assert running.get(second.id)["title"] == "clip 2"


def test_progress_is_seen_while_the_job_runs() -> None:
    seen, go = Event(), Event()

    def work(job: Job) -> None:
        job.progress(24, 900, "frames", "tracking")
        seen.set()
        go.wait(20)

    with jobs() as running:
        job = running.submit("track", "a", work)
        assert seen.wait(20)
        shown = running.get(job.id)
        go.set()
    assert shown["progress"] == {"done": 24, "total": 900, "unit": "frames"}
    assert shown["message"] == "tracking"


def test_an_equal_key_gives_the_running_job() -> None:
    with jobs() as running:
        job, work = begin(running)
        assert running.submit("track", "a", Work()) is job
        end(job, work)
        again = running.submit("track", "a", lambda job: None)
        assert again is not job
        assert again.wait(20)


def test_a_replacement_begins_only_after_the_older_job_has_stopped() -> None:
    order: list[str] = []

    def stubborn(job: Job) -> None:
        begun.set()
        assert go.wait(20)
        order.append(f"older ends, cancelled: {job.cancelled}")

    begun, go = Event(), Event()
    with jobs() as running:
        older = running.submit("track", "a", stubborn)
        assert begun.wait(20)
        newer = running.submit("track", "a", lambda job: order.append("newer begins"), replace=True)
        assert newer.state is State.QUEUED
        other, work = begin(running, "another key")
        end(other, work)
        assert newer.state is State.QUEUED
        go.set()
        assert newer.wait(20)
        assert older.state is State.CANCELLED
    assert order == ["older ends, cancelled: True", "newer begins"]


def test_a_key_whose_job_is_being_cancelled_can_be_submitted_anew() -> None:
    with jobs(workers=1) as running:
        job, _ = begin(running)
        running.cancel(job.id)
        again = running.submit("track", "a", lambda job: None)
        assert again is not job
        assert again.wait(20)
        assert again.state is State.DONE


def test_a_kind_that_runs_one_at_a_time_leaves_room_for_others() -> None:
    with jobs() as running:
        first, work = begin(running, "project 1", "fit")
        second = running.submit("fit", "project 2", lambda job: None)
        other, other_work = begin(running, "clip", "track")
        assert second.state is State.QUEUED
        end(other, other_work)
        end(first, work)
        assert second.wait(20)
        assert running.get(second.id)["state"] == "done"


def test_a_queued_job_is_cancelled_at_once_and_never_begins() -> None:
    with jobs(workers=1) as running:
        job, work = begin(running)
        queued, queued_work = Work(), Work()
        waiting = running.submit("track", "b", queued)
        assert running.cancel(waiting.id)["state"] == "cancelled"
        assert waiting.ended
        end(job, work)
        last = running.submit("track", "c", queued_work)
        queued_work.go.set()
        assert last.wait(20)
    assert not queued.begun.is_set()


def test_a_running_job_is_told_to_stop_and_keeps_what_it_has() -> None:
    with jobs() as running:
        job, _ = begin(running)
        running.cancel(job.id)
        assert job.wait(20)
        shown = running.get(job.id)
        assert (shown["state"], shown["result"]) == ("cancelled", {"frames": 3})
        assert running.cancel(job.id) == shown


def test_a_failure_that_somebody_can_mend_keeps_its_sentence() -> None:
    def work(job: Job) -> None:
        raise MediaUnavailable("The video is gone. Upload it again.")

    with jobs() as running:
        job = running.submit("track", "a", work)
        assert job.wait(20)
        shown = running.get(job.id)
    assert (shown["state"], shown["message"]) == ("failed", "The video is gone. Upload it again.")


def test_an_unexpected_failure_shows_no_internals_and_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work(job: Job) -> None:
        raise ValueError("an internal")

    with jobs(workers=1) as running:
        job = running.submit("track", "a", work)
        assert job.wait(20)
        after = running.submit("track", "b", lambda job: None)
        assert after.wait(20)
    assert job.state is State.FAILED
    assert "internal" not in job.message
    assert job.id in job.message
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info


def test_an_error_on_the_way_out_of_a_cancelled_job_is_no_failure() -> None:
    def work(job: Job) -> None:
        begun.set()
        assert go.wait(20)
        raise NotReady("The service is stopping.")

    begun, go = Event(), Event()
    with jobs() as running:
        job = running.submit("track", "a", work)
        assert begun.wait(20)
        running.cancel(job.id)
        go.set()
        assert job.wait(20)
    assert job.state is State.CANCELLED


def test_an_unknown_job_is_named() -> None:
    with jobs() as running:
        for ask in (running.get, running.cancel):
            with pytest.raises(UnknownJob, match="nonesuch"):
                ask("nonesuch")


def test_only_the_last_ended_jobs_are_remembered_and_those_that_run_always() -> None:
    with jobs() as running:
        held, work = begin(running, "held")
        ended = [running.submit("track", n, lambda job: None) for n in range(REMEMBERED + 5)]
        assert all(job.wait(20) for job in ended)
        assert len(running.list()) == REMEMBERED + 1
        assert running.get(held.id)["state"] == "running"
        with pytest.raises(UnknownJob):
            running.get(ended[0].id)
        end(held, work)


def test_too_many_queued_jobs_are_refused() -> None:
    with jobs(workers=1, queued=3) as running:
        begin(running)
        for n in range(3):
            running.submit("track", n, Work())
        with pytest.raises(Busy):
            running.submit("track", "one more", Work())
        replaced = running.submit(
            "track", 0, lambda job: None, replace=True
        )  # takes its own older one's place
        assert replaced.state is State.QUEUED


def test_jobs_that_hold_too_much_of_their_requests_are_refused_until_others_have_ended() -> None:
    with jobs(workers=1, held_bytes=100) as running:
        first, work = Work(), Work()
        holding = running.submit("masks", "a", first, nbytes=60)
        with pytest.raises(Busy, match="fewer tasks"):
            running.submit("masks", "b", work, nbytes=60)
        running.submit("masks", "small", lambda job: None, nbytes=40)
        with pytest.raises(Busy):
            running.submit("masks", "c", work, nbytes=1)
        running.submit("track", "holds nothing", lambda job: None)
        end(holding, first)
        eventually(lambda: running.submit("masks", "b", lambda job: None, nbytes=60).wait(20))


def test_jobs_of_one_turn_run_one_after_the_other_and_others_beside_them() -> None:
    with jobs() as running:
        first_work, other_work = Work(), Work()
        first = running.submit("masks", "a", first_work, turn="project 1")
        second = running.submit("masks", "b", lambda job: None, turn="project 1")
        other = running.submit("masks", "c", other_work, turn="project 2")
        assert other_work.begun.wait(20)
        assert second.state is State.QUEUED
        end(other, other_work)
        end(first, first_work)
        assert second.wait(20)


def test_who_has_the_fewest_running_goes_first_by_project_and_by_task() -> None:
    with jobs(workers=2) as running:
        held = [begin(running, key) for key in ("x", "y")]
        asked = [("a1", 1, 1), ("a2", 1, 1), ("a3", 1, 2), ("b1", 2, 3)]
        waiting = {}
        for name, project, task in asked:
            with working_for(Whose(project, task)):
                waiting[name] = running.submit("track", name, Work())
        assert [running.before(job) for job in waiting.values()] == [2, 5, 4, 3]
        for job, work in held:
            end(job, work)
        eventually(lambda: [name for name, job in waiting.items() if job.started] == ["a1", "b1"])
        running.cancel(waiting["b1"].id)
        eventually(lambda: waiting["a3"].started is not None)
        assert waiting["a2"].started is None


def test_what_somebody_looks_at_does_not_wait_behind_tracks_or_whole_projects() -> None:
    running = Jobs()
    try:
        tracks = [running.submit("track", n, Work()) for n in range(20)]
        projects = [running.submit("masks", ("masks", n), Work(), turn=n) for n in range(20)]
        for kind in ("opened", "warm", "opened"):
            assert running.submit(kind, object(), lambda job: None).wait(20)
        eventually(lambda: sum(job.state is State.RUNNING for job in projects) == 4)
        eventually(lambda: sum(job.state is State.RUNNING for job in tracks) == 6)
        assert [running.before(job) for job in tracks] == [*[0] * 6, *range(6, 20)]
    finally:
        running.close()


def test_a_storm_of_fits_takes_no_place_of_anything_else() -> None:
    running = Jobs()
    try:
        for project in range(51):
            running.submit("fit", ("fit", project), Work())
            eventually(lambda: running.list()[-1]["state"] == "running")
        for project in range(51, 1002):
            with pytest.raises(Busy):
                running.submit("fit", ("fit", project), Work())
        for kind in ("masks", "warm project", "track", "opened", "warm"):
            assert running.submit(kind, object(), lambda job: None).wait(20)
    finally:
        running.close()


def test_closing_does_not_wait_for_a_job_that_notices_nothing_and_marks_it() -> None:
    begun, go = Event(), Event()

    def download(job: Job) -> None:
        begun.set()
        go.wait(20)

    running = Jobs()
    stuck = running.submit("warm", "a", download)
    willing = running.submit("warm", "b", Work())
    assert begun.wait(20)
    running.close(seconds=0.1)
    assert (stuck.state, willing.state) == (State.INTERRUPTED, State.CANCELLED)
    go.set()
    assert running.get(stuck.id)["state"] == "interrupted"


def test_a_title_is_short_whatever_it_quotes() -> None:
    with jobs() as running:
        job = running.submit("track", "a", lambda job: None, title="Task " + "x" * 4_000_000)
        assert len(job.title) <= 200


def test_closing_cancels_everything_waits_for_it_and_refuses_what_comes() -> None:
    running = Jobs([Pool({"track": 1}, workers=1, queued=10)])
    job, _ = begin(running)
    queued = running.submit("track", "b", Work())
    running.close()
    assert (job.state, queued.state) == (State.CANCELLED, State.CANCELLED)
    with pytest.raises(NotReady):
        running.submit("track", "c", Work())


def test_what_a_job_held_is_let_go_of_when_it_has_ended() -> None:
    class Frames:
        pass

    def work(job: Job, frames: Frames) -> None:
        return None

    frames = Frames()
    still_there = weakref.ref(frames)
    with jobs(workers=1) as running:
        job = running.submit("track", "a", partial(work, frames=frames))
        assert job.wait(20)
        del frames
        eventually(lambda: still_there() is None)
        begin(running)
