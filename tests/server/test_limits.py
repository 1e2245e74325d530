"""What a request may take of the service: bytes, time, sockets, threads."""

from __future__ import annotations

import json
import logging
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

import httpx
import pytest
from label_studio_sam2.errors import InternalError, OutOfMemory
from label_studio_sam2.labelstudio.media.media_store import DOWNLOADS
from label_studio_sam2.server.in_process import running
from label_studio_sam2.server.logs import JsonLines
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, batch, body, click, data_url, regions_of, task
from tests.fakes.eventually import eventually
from tests.fakes.failing import Failing
from tests.fakes.fit_server import png
from tests.fakes.raw_http import closed, half_sent, status
from tests.fakes.servers import Exchange, Site, serving
from tests.fakes.settings import settings

SIZE = Size(60, 80)
EVERYTHING = CONFIG.replace('<Label value="Dog"/>', "").replace(
    'name="brush"', 'name="brush" model_everything="true"'
)
JSON = {"Content-Type": "application/json"}
MIB = 1 << 20


def chunks(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield b" " * MIB


@contextmanager
def most_held() -> Iterator[list[int]]:
    """The bytes that Python objects of this process had more than before at most, once the block has ended."""
    most: list[int] = []
    tracemalloc.start()
    try:
        yield most
        most.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("route", ["/webhook", "/train", "/setup", "/jobs"])
def test_a_chunked_body_is_bounded_as_it_comes(route: str, client: httpx.Client) -> None:
    with most_held() as most:
        answer = client.post(route, content=chunks(64), headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")
    assert max(most) < 48 * MIB


@pytest.mark.parametrize("route", ["/webhook", "/predict"])
def test_a_length_that_is_too_large_is_refused_before_a_byte_of_it_has_come(route: str, address: str) -> None:
    head = f"POST {route} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 300000000\r\n\r\n"
    assert status(address, head.encode()) == 413


def test_a_request_with_two_lengths_is_refused(address: str) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    assert status(address, head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") == 400


@pytest.mark.slow
def test_half_sent_requests_keep_nobody_out_and_are_closed(
    address: str, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        half_sent(address, b"POST /predict HTTP/1.1\r\nHo", 300) as heads,
        half_sent(
            address,
            b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
            20,
        ) as bodies,
    ):
        begun = monotonic()
        assert client.get("/health").status_code == 200
        assert monotonic() - begun < 1
        eventually(lambda: sum(map(closed, heads)) == 300, 30, every=0.1)
        assert all(b" 408 " in each.recv(64) for each in bodies)
    assert sum("no whole request" in record.getMessage() for record in caplog.records) == 1


DEEP = b"[" * 400 + b"]" * 400


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 5 * MIB,
        b'{"a":' * MIB,
        b'{"action": "x", "project": ' + DEEP + b"}",
        b'{"a": [' + b",".join([DEEP] * 6000) + b"]}",
        b'{"a": [' + b"[]," * (5 * MIB // 3) + b"1]}",
        b'{"a": [' + b'{"":{}},' * (5 * MIB // 8) + b"1]}",
    ],
)
@pytest.mark.parametrize("route", ["/webhook", "/predict"])
def test_json_of_nothing_but_nesting_is_refused_and_holds_up_nobody(
    route: str, content: bytes, client: httpx.Client, address: str
) -> None:
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.post, route, content=content, headers=JSON)
        waits = []
        while not answer.done():
            begun = monotonic()
            assert httpx.get(address + "/health", trust_env=False).status_code == 200
            waits.append(monotonic() - begun)
    assert answer.result().status_code == 400, answer.result().text
    assert max(waits, default=0) < 1


def test_deeply_nested_data_within_the_bound_is_carried_along(client: httpx.Client) -> None:
    nested = json.loads(b"[" * 100 + b"]" * 100)
    asked = batch([task(1, PICTURE)], EVERYTHING)
    asked["tasks"][0]["data"]["deep"] = nested
    assert client.post("/predict", json=asked).status_code == 200


def test_many_small_vertices_are_no_reason_to_refuse_a_body(client: httpx.Client) -> None:
    points = ",".join(["[12.5,25.75]"] * 300_000)
    content = '{"action": "ANNOTATION_UPDATED", "annotation": {"points": [' + points + "]}}"
    assert client.post("/webhook", content=content, headers=JSON).status_code == 202


PICTURE = data_url(draw_scene(1, width=SIZE.width, height=SIZE.height).image)
CLICKED = body(PICTURE, [click(5, 5, SIZE)], project="5.1")
BATCH = batch([task(1, PICTURE), task(2, PICTURE)], EVERYTHING, project="5.1")


@pytest.mark.parametrize(
    ("error", "answered"),
    [
        (RuntimeError("secret"), (500, InternalError)),
        (MemoryError("secret"), (503, OutOfMemory)),
        (OutOfMemory("The device's memory is full. Choose a smaller MODEL."), (503, OutOfMemory)),
        (ZeroDivisionError("secret"), (500, InternalError)),
    ],
)
@pytest.mark.parametrize("asked", [CLICKED, BATCH])
def test_what_nobody_expected_is_said_kept_for_the_project_and_logged_once_with_the_requests_id(
    asked: dict[str, Any], error: Exception, answered: tuple[int, type], caplog: pytest.LogCaptureFixture
) -> None:
    given = settings()
    with (
        running(given, context=Failing(given, error), ready=False) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        eventually(lambda: client.get("/ready").status_code != 503)  # that it is loading would be said first
        caplog.handler.setFormatter(JsonLines())
        answer = client.post("/predict", json=asked, headers={"X-Request-Id": "find-me"})
        kept = client.get("/").json()["problems"]["5"]
    status_code, kind = answered
    assert (answer.status_code, answer.json()["error"]) == (status_code, kind.__name__)
    assert ("retry-after" in answer.headers) == (status_code == 503)
    assert (kept["error"], kept["detail"]) == (kind.__name__, answer.json()["detail"])
    assert "secret" not in answer.text
    told = [json.loads(line) for line in caplog.text.splitlines() if "traceback" in line]
    assert [line["request_id"] for line in told] == ["find-me"]


def test_a_text_of_megabytes_is_cut_where_it_is_answered_and_kept(client: httpx.Client) -> None:
    outside = click(2000, 50, SIZE, name="x" * 4_000_000)
    asked = body(PICTURE, [outside], project="77.1")
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 400
    assert len(answer.text) < 2000
    assert len(client.get("/").json()["problems"]["77"]["detail"]) < 2000
    named = client.get(f"/jobs/{'x' * 20_000}")
    assert (named.status_code, len(named.text) < 2000) == (404, True)


@pytest.mark.slow
def test_what_is_asked_by_clients_that_hung_up_is_neither_fetched_nor_encoded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go, fetched = Event(), []

    def reply(exchange: Exchange) -> None:
        number = int(exchange.path.rpartition("/")[2])
        fetched.append(number)
        if number < 70:
            go.wait(20)
        exchange.reply(200, png(draw_scene(number, width=SIZE.width, height=SIZE.height).image))

    with (
        serving(Site(reply)) as site,
        running(settings(media_allowed_hosts=frozenset({"127.0.0.1"}))) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        for number in range(70):
            content = json.dumps(body(f"{site.url}/{number}", [click(5, 5, SIZE)])).encode()
            head = (
                "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\n\r\n"
            )
            with half_sent(address, head.encode() + content, 1):
                eventually(lambda: len(fetched) == min(DOWNLOADS, number + 1))  # noqa: B023
        go.set()
        assert regions_of(client.post("/predict", json=body(f"{site.url}/99", [click(5, 5, SIZE)])))
        shown = client.get("/").json()
    assert (shown["cache"]["encoded"], shown["problems"]) == (1, {})
    assert fetched == [*range(DOWNLOADS), 99]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
