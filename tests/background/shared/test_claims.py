from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from pydantic import SecretStr

from tests.fakes.asking import CONFIG, batch, box, results_of
from tests.fakes.eventually import eventually
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.redis_server import RedisServer
from tests.fakes.replicas import Pair, pair
from tests.fakes.servers import serving
from tests.fakes.small_pictures import SIZE, picture

COUNT = 16


def boxed(site: ProjectServer, count: int = COUNT) -> list[dict[str, Any]]:
    """Tasks on which somebody has drawn a box."""
    drawn = [{"id": 1, "result": [box(20, 20, 90, 90, SIZE)]}]
    numbers = site.add(*(picture(seed) for seed in range(count)), annotations=drawn)
    return [site.tasks[number] for number in numbers]


def delivered(site: ProjectServer, tasks: list[dict[str, Any]], answers: list[httpx.Response]) -> list[int]:
    """How often each task got its masks: by an answer, or stored."""
    answered = [[bool(regions) for regions in results_of(answer)] for answer in answers]
    return [
        sum(place) + len(site.predictions(task["id"]))
        for task, place in zip(tasks, zip(*answered, strict=True), strict=True)
    ]


def both_asked(both: Pair, asked: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda one: one.post("/predict", json=asked), (both.first, both.second)))


def test_a_batch_that_two_replicas_are_asked_for_at_once_is_answered_or_stored_once(together: Pair) -> None:
    tasks = boxed(together.site)
    answers = both_asked(together, batch(tasks))
    eventually(together.idle)
    assert delivered(together.site, tasks, answers) == [1] * COUNT


def test_with_time_enough_each_task_of_such_a_batch_is_answered_by_one(redis_server: RedisServer) -> None:
    with serving(ProjectServer(CONFIG)) as site, pair(redis_server.url, site) as both:
        tasks = boxed(site)
        assert delivered(site, tasks, both_asked(both, batch(tasks))) == [1] * COUNT
        again = [results_of(both.balanced.post("/predict", json=batch(tasks))) for _ in range(3)]
    assert again[0] == again[1] == again[2]
    assert all(again[0])


def test_a_project_that_two_replicas_predict_at_once_is_stored_once(together: Pair) -> None:
    tasks = boxed(together.site)
    started = [
        together.balanced.post("/jobs", json={"kind": "predict", "project": PROJECT}).json() for _ in range(2)
    ]
    assert started[0]["id"] == started[1]["id"]
    eventually(together.idle)
    assert [len(together.site.predictions(task["id"])) for task in tasks] == [1] * COUNT


def test_what_came_too_late_and_cant_be_stored_is_answered_by_whichever_replica_is_asked_again(
    redis_server: RedisServer,
) -> None:
    without = {"label_studio_api_key": SecretStr(""), "predict_budget": 1e-3}
    with serving(ProjectServer(CONFIG)) as site, pair(redis_server.url, site, **without) as both:
        asked = batch(boxed(site, 4))
        assert both.first.post("/predict", json=asked).json()["results"] == [[]] * 4
        eventually(both.idle)
        assert all(results_of(both.second.post("/predict", json=asked)))
        assert len(both.jobs("masks")) == 1
