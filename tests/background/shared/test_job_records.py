from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.accepted import random_masks
from tests.fakes.asking import batch
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import FitServer
from tests.fakes.gated_project import GatedProject
from tests.fakes.project_server import PROJECT
from tests.fakes.redis_server import RedisServer
from tests.fakes.replicas import Pair, asking, pair
from tests.fakes.servers import LEGACY, Site, serving
from tests.fakes.service_process import serving as serving_process
from tests.fakes.tuning_service import reaches_tuning

PREDICT = {"kind": "predict", "project": PROJECT}
WARM = {"kind": "warm", "project": PROJECT}


@contextmanager
def at_work(redis: RedisServer, tasks: int = 3, seconds: float = 60) -> Iterator[tuple[Pair, dict[str, Any]]]:
    """Two replicas, and a job that the first one is at until its pictures come, each after so many seconds."""
    with serving(GatedProject(seconds)) as site, pair(redis.url, site, predict_budget=0.1) as both:
        site.add_boxed(tasks)
        job = both.first.post("/jobs", json=PREDICT).raise_for_status().json()
        try:
            yield both, job
        finally:
            site.go.set()
            eventually(both.idle)


def test_a_replicas_job_is_seen_by_the_other_while_it_runs_and_after(redis_server: RedisServer) -> None:
    with at_work(redis_server) as (both, job):
        seen = both.second.get(f"/jobs/{job['id']}").raise_for_status().json()
        assert (seen["id"], seen["title"], seen["finished"]) == (job["id"], job["title"], None)
        assert job["id"] in [one["id"] for one in both.second.get("/jobs").json()["jobs"]]
        assert both.second.post("/jobs", json=PREDICT).json()["id"] == job["id"]
        both.site.go.set()
        eventually(
            lambda: both.second.get(f"/jobs/{job['id']}").json()["result"] == {"stored": 3, "reasons": []}
        )


def test_a_replicas_job_can_be_cancelled_at_the_other(redis_server: RedisServer) -> None:
    with at_work(redis_server, tasks=400, seconds=0.1) as (both, job):
        assert both.second.delete(f"/jobs/{job['id']}").status_code == httpx.codes.ACCEPTED
        for client in (both.first, both.second):
            eventually(lambda: client.get(f"/jobs/{job['id']}").json()["state"] == "cancelled")  # noqa: B023


def test_a_job_that_no_replica_knows_is_said_to_be_unknown(together: Pair) -> None:
    for call in (together.balanced.get, together.balanced.delete):
        answer = call("/jobs/ffffffffffff")
        assert (answer.status_code, answer.json()["error"]) == (404, "UnknownJob")


@contextmanager
def processes(redis: RedisServer, site: Site, folder: Path) -> Iterator[Any]:
    """Two services as processes of their own, with their clients."""
    shared = {
        "REDIS_URL": redis.url,
        "LABEL_STUDIO_URL": site.url,
        "LABEL_STUDIO_API_KEY": LEGACY,
        "MODEL_CACHE": str(folder),
        "TMPDIR": str(folder),
    }
    with (
        serving_process(**shared) as (first, process),
        serving_process(**shared) as (second, _),
        asking(first) as one,
        asking(second) as other,
    ):
        yield one, other, process


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_projects_job_whose_replica_dies_is_begun_again_by_another_under_its_own_name(
    how: signal.Signals, redis_server: RedisServer, tmp_path: Path
) -> None:
    with serving(GatedProject()) as site, processes(redis_server, site, tmp_path) as (one, other, process):
        tasks = site.add_boxed(12)
        site.gated_from = 6
        job = one.post("/jobs", json=PREDICT).raise_for_status().json()
        eventually(lambda: sum(len(site.predictions(task["id"])) for task in tasks) == site.gated_from, 60)
        process.send_signal(how)
        process.wait()
        site.go.set()

        def state() -> str:
            return str(other.get(f"/jobs/{job['id']}").raise_for_status().json()["state"])

        eventually(lambda: state() == "done", 60, every=0.2)
        assert [len(site.predictions(task["id"])) for task in tasks] == [1] * len(tasks)
        assert [one["state"] for one in other.get("/jobs").json()["jobs"]] == ["done"]


@pytest.mark.slow
def test_a_project_whose_replica_is_killed_while_it_tunes_is_tuned_by_the_other(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with serving(FitServer()) as site, processes(redis_server, site, tmp_path) as (one, other, process):
        project = site.make()
        random_masks(site, project)
        job = one.post("/jobs", json={"kind": "fit", "project": project}).raise_for_status().json()["id"]
        reaches_tuning(one, job)
        process.kill()
        eventually(lambda: other.get(f"/jobs/{job}").raise_for_status().json()["id"] != job, 60, every=0.2)
        reaches_tuning(other, job)


@pytest.mark.slow
def test_a_batch_whose_replica_is_killed_is_answered_by_the_other_and_nothing_is_there_twice(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    with (
        serving(GatedProject()) as site,
        processes(redis_server, site, tmp_path) as (one, other, process),
        ThreadPoolExecutor() as threads,
    ):
        tasks = site.add_boxed(8)
        site.gated_from = 4
        lost = threads.submit(one.post, "/predict", json=batch(tasks))
        eventually(lambda: bool(redis_keys(redis_server, "*claim*")), 60)
        process.kill()
        with pytest.raises(httpx.TransportError):
            lost.result()
        site.go.set()

        def all_answered() -> bool:
            """By the other; what the dead one had in hand is free again when it is known to be dead."""
            answer = other.post("/predict", json=batch(tasks)).json()["results"]
            return all(answer)

        eventually(all_answered, 60, every=1)
        assert [site.predictions(task["id"]) for task in tasks] == [[]] * len(tasks)


def redis_keys(redis: RedisServer, pattern: str) -> list[bytes]:
    with redis.client() as client:
        found: list[bytes] = client.keys(pattern)
        return found
