"""Redis is a cache: without it each replica is a service by itself, and no request fails."""

from __future__ import annotations

import logging

import httpx
import pytest
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes import asking_video as video
from tests.fakes.asking import CONFIG, batch, body, click, regions_of, results_of
from tests.fakes.eventually import eventually
from tests.fakes.gated_project import GatedProject
from tests.fakes.project_server import PROJECT
from tests.fakes.redis_server import RedisServer
from tests.fakes.replicas import asking, pair
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings
from tests.fakes.small_pictures import SIZE, picture

PREDICT = {"kind": "predict", "project": PROJECT}
SHORT = video.CONFIG.replace("<VideoRectangle ", '<VideoRectangle model_frames="5" ')


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_while_redis_is_out_every_request_is_answered_and_it_is_said_once(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    connected = {"label_studio_api_key": SecretStr(LEGACY), "redis_url": redis_server.url}
    with (
        serving(GatedProject()) as site,
        running(settings(label_studio_url=site.url, **connected)) as address,
        asking(address) as client,
    ):
        tasks = site.add_boxed(3)
        site.go.set()
        redis_server.kill()
        asked = {"project": f"{PROJECT}.1"}
        assert client.post("/setup", json={**asked, "schema": CONFIG, "hostname": site.url}).is_success
        assert client.post("/predict", json=body("file:///no", [click(80, 60, SIZE)], **asked)).is_error
        assert str(PROJECT) in client.get("/").json()["problems"]
        assert regions_of(client.post("/predict", json=body(picture(1), [click(80, 60, SIZE)], **asked)))
        assert str(PROJECT) not in client.get("/").json()["problems"]
        assert all(results_of(client.post("/predict", json=batch(tasks))))
        (region,) = video.ask(client, video.region("a", video.keyframe(1, 0)), config=SHORT)
        assert region["meta"]["tracked"] == [1, 5]
        job = client.post("/jobs", json=PREDICT).raise_for_status().json()
        eventually(lambda: client.get(f"/jobs/{job['id']}").json()["state"] == "done")
        assert job["id"] in [one["id"] for one in client.get("/jobs").json()["jobs"]]
        assert client.get("/jobs/ffffffffffff").status_code == httpx.codes.NOT_FOUND
    (said,) = (text for text in warnings(caplog) if "Redis" in text)
    assert "each replica is for itself" in said


def test_replicas_know_each_others_jobs_again_when_redis_is_back(redis_server: RedisServer) -> None:
    with serving(GatedProject()) as site, pair(redis_server.url, site) as both:
        site.add_boxed(3)
        redis_server.kill()
        job = both.first.post("/jobs", json=PREDICT).raise_for_status().json()
        assert both.second.get(f"/jobs/{job['id']}").status_code == httpx.codes.NOT_FOUND
        redis_server.start()
        eventually(lambda: both.second.get(f"/jobs/{job['id']}").is_success)
        site.go.set()
        eventually(both.idle)
