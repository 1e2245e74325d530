from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from uuid import uuid4

import cv2
import httpx
import pytest
from label_studio_sam2.commands import warm
from label_studio_sam2.commands.service import Refused
from label_studio_sam2.errors import NotReady
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, click, data_url, regions_of
from tests.fakes.eventually import eventually
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.redis_server import RedisServer
from tests.fakes.redis_server import running as redis_running
from tests.fakes.servers import LEGACY, Exchange, serving
from tests.fakes.settings import settings


def picture(seed: int) -> str:
    return data_url(draw_scene(seed, width=160, height=120).image)


def png(seed: int) -> bytes:
    return cv2.imencode(".png", draw_scene(seed, width=160, height=120).image)[1].tobytes()


@pytest.fixture(scope="module")
def label_studio() -> Iterator[ProjectServer]:
    with serving(ProjectServer(CONFIG)) as site:
        site.add(*(picture(seed) for seed in (1, 2, 3)), "file:///etc/passwd", picture(4), picture(1))
        yield site


def service(label_studio: ProjectServer, **given: Any) -> AbstractContextManager[str]:
    key = SecretStr(LEGACY)
    return running(settings(label_studio_url=label_studio.url, label_studio_api_key=key, **given))


def cache_of(address: str) -> dict[str, int]:
    cache: dict[str, int] = httpx.get(address, trust_env=False).json()["cache"]
    return cache


@pytest.mark.slow
def test_a_projects_pictures_are_encoded_once_each_whatever_fails_and_a_second_time_none(
    label_studio: ProjectServer, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with service(label_studio, redis_url=redis_server.url) as address:
        assert warm.run(Settings(), PROJECT, address) == 1
        said = capsys.readouterr().out
        assert "Task 4: " in said
        assert "1 failed" in said
        assert cache_of(address)["encoded"] == 4
        warm.run(Settings(), PROJECT, address)
        assert "5 there already, 1 failed" in capsys.readouterr().out
        assert cache_of(address)["encoded"] == 4
    with service(label_studio, redis_url=redis_server.url) as address:  # another replica, or the same again
        warm.run(Settings(), PROJECT, address)
        assert cache_of(address)["encoded"] == 0


@pytest.mark.slow
def test_warming_lets_a_click_pass_and_is_taken_up_where_it_was_stopped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = Size(120, 160)
    with (
        serving(ProjectServer(CONFIG)) as site,
        service(site) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=60) as http,
    ):
        addresses = [f"/data/upload/{PROJECT}/{uuid4().hex}.png" for _ in range(30)]
        site.files |= {name: png(seed) for seed, name in enumerate(addresses)}
        site.add(*addresses)
        reply, clicked = site.reply_with, body(picture(99), [click(80, 60, size)])
        job = ""

        def stopping(exchange: Exchange) -> object:
            if exchange.path == addresses[9]:
                assert regions_of(http.post("/predict", json=clicked))
                http.delete(f"/jobs/{job}")
            return reply(exchange)

        site.reply_with = stopping
        job = http.post("/jobs", json={"kind": "warm", "project": PROJECT}).json()["id"]
        eventually(lambda: http.get(f"/jobs/{job}").json()["finished"] is not None, 60)
        stopped = http.get(f"/jobs/{job}").json()
        assert stopped["state"] == "cancelled"
        assert 0 < stopped["result"]["encoded"] < 30
        site.reply_with = reply
        assert warm.run(Settings(), PROJECT, address) == 0
        assert " there already" in capsys.readouterr().out
        assert cache_of(address)["encoded"] == 31


@pytest.mark.parametrize(
    ("keeps", "named"),
    [({"maxmemory": "2mb"}, "maxmemory"), ({"memory_cache_mb": 1}, "REDIS_URL"), ({"dead": True}, "Redis")],
    ids=["a full Redis", "little memory", "a dead Redis"],
)
def test_what_would_not_stay_is_refused_before_anything_is_encoded(
    keeps: dict[str, Any], named: str, label_studio: ProjectServer
) -> None:
    with ExitStack() as stack:
        given = keeps
        if "memory_cache_mb" not in keeps:
            options = ("--maxmemory", "2mb", "--maxmemory-policy", "allkeys-lru")
            redis = stack.enter_context(redis_running(*options))
            given = {"redis_url": redis.url}
        address = stack.enter_context(service(label_studio, **given))
        if "dead" in keeps:
            redis.kill()
        with pytest.raises(Refused, match=named):
            warm.run(Settings(), PROJECT, address)
        assert cache_of(address)["encoded"] == 0


def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(NotReady, match="label-studio-sam2 serve"):
        warm.run(Settings(), PROJECT, "http://127.0.0.1:1")


def test_without_a_label_studio_the_missing_setting_is_named() -> None:
    with (
        running(settings(label_studio_url="")) as address,
        pytest.raises(Refused, match="LABEL_STUDIO_URL"),
    ):
        warm.run(Settings(), PROJECT, address)
