from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from label_studio_sam2.errors import LabelStudioError
from label_studio_sam2.labelstudio.client import LabelStudioClient
from label_studio_sam2.labelstudio.tokens import AccessKey

from tests.labelstudio.servers import LEGACY, PERSONAL, Exchange, LabelStudio, Site, access_token, serving


@pytest.fixture
def label_studio() -> Iterator[LabelStudio]:
    with serving(LabelStudio()) as site:
        site.api = {"/api/projects/1/": {"id": 1, "title": "Cats"}}
        yield site


@pytest.mark.parametrize("key", [LEGACY, PERSONAL, f" {LEGACY}\n"])
def test_a_call_is_made_with_either_kind_of_key(label_studio: LabelStudio, key: str) -> None:
    with LabelStudioClient(label_studio.url + "/", key) as client:
        assert client.project(1)["title"] == "Cats"


def test_an_access_token_is_used_until_shortly_before_it_expires(label_studio: LabelStudio) -> None:
    time = [0.0]
    with LabelStudioClient(label_studio.url, PERSONAL, now=lambda: time[0]) as client:
        client.project(1)
        time[0] = 269.0
        client.project(1)
        assert label_studio.issued == 1
        time[0] = 271.0
        client.project(1)
        assert label_studio.issued == 2


def test_an_access_token_that_is_refused_is_renewed_once(label_studio: LabelStudio) -> None:
    with LabelStudioClient(label_studio.url, PERSONAL) as client:
        client.project(1)
        label_studio.expire_access_tokens()
        assert client.project(1)["id"] == 1
    assert label_studio.issued == 2


def test_many_threads_exchange_a_token_once(label_studio: LabelStudio) -> None:
    together = Barrier(8)
    with LabelStudioClient(label_studio.url, PERSONAL) as client, ThreadPoolExecutor(8) as pool:

        def call(_: int) -> int:
            together.wait()
            return int(client.project(1)["id"])

        assert list(pool.map(call, range(8))) == [1] * 8
    assert label_studio.issued == 1


def test_a_legacy_token_that_is_refused_is_not_tried_again(label_studio: LabelStudio) -> None:
    refused = pytest.raises(LabelStudioError, match="refuses the key in LABEL_STUDIO_API_KEY")
    with LabelStudioClient(label_studio.url, "f" * 40) as client, refused:
        client.project(1)
    assert len(label_studio.seen) == 1


@pytest.mark.parametrize("token", ["a.b.c", "a..c", "a.!.c", "a.e30.c"])
def test_an_access_token_that_tells_no_lifetime_is_taken_to_have_label_studios(token: str) -> None:
    exchanged: list[str] = []
    time = [0.0]

    def exchange(personal: str) -> str:
        exchanged.append(personal)
        return token

    key = AccessKey("x.y.z", exchange, now=lambda: time[0])
    for time[0] in (0.0, 269.0, 271.0):
        assert key.authorization() == f"Bearer {token}"
    assert exchanged == ["x.y.z"] * 2


def test_a_key_never_shows_itself() -> None:
    for token in (LEGACY, PERSONAL):
        key = AccessKey(token, lambda _: access_token(1))
        key.authorization()
        assert token not in repr(key)
        assert "Bearer" not in repr(key)


def test_tasks_come_page_by_page_and_only_as_wanted() -> None:
    def paged(exchange: Exchange) -> None:
        page = int(exchange.path.partition("&page=")[2].partition("&")[0])
        numbers = range(2 * page - 2, min(2 * page, 5))
        exchange.json(200, {"total": 5, "tasks": [{"id": number} for number in numbers]})

    with serving(Site(paged)) as site, LabelStudioClient(site.url, LEGACY) as client:
        tasks = client.tasks(3, page_size=2)
        assert next(tasks) == {"id": 0}
        assert len(site.seen) == 1
        assert [task["id"] for task in tasks] == [1, 2, 3, 4]
    assert len(site.seen) == 3
    assert site.seen[0].path == "/api/tasks/?project=3&fields=all&page=1&page_size=2"


def test_a_prediction_is_created_with_its_version() -> None:
    with (
        serving(Site(lambda exchange: exchange.json(201, {"id": 9}))) as site,
        LabelStudioClient(site.url + "/label", LEGACY) as client,
    ):
        assert client.create_prediction(4, [], model_version="sam2.1", score=0.5) == {"id": 9}
    assert (site.seen[0].method, site.seen[0].path) == ("POST", "/label/api/predictions/")
    assert json.loads(site.seen[0].body) == {"task": 4, "result": [], "score": 0.5, "model_version": "sam2.1"}


def test_a_deletion_has_no_body() -> None:
    with (
        serving(Site(lambda exchange: exchange.reply(204))) as site,
        LabelStudioClient(site.url, LEGACY) as client,
    ):
        client.delete("/api/ml/1/")
    assert site.seen[0].method == "DELETE"


def web_page(exchange: Exchange) -> None:
    exchange.reply(200, b"<!doctype html>")


def refuses(exchange: Exchange) -> None:
    exchange.json(400, {"detail": "Validation error", "validation_errors": {"url": ["Bad URL"]}})


def forbidden(exchange: Exchange) -> None:
    exchange.json(403, {"detail": "You do not have permission"})


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (web_page, "check that LABEL_STUDIO_URL is"),
        (refuses, "Bad URL"),
        (forbidden, "add the user to the project"),
        (lambda exchange: exchange.reply(500, b"<html>"), "answers GET /api/version with 500"),
        (
            lambda exchange: exchange.redirect("https://other.example/?t=s"),
            "https://other.example/: set LABEL_STUDIO_URL",
        ),
        (lambda exchange: exchange.hang_up(), "can't be reached"),
    ],
)
def test_what_goes_wrong_is_said_with_what_to_change(
    behaviour: Callable[[Exchange], object], says: str
) -> None:
    with (
        serving(Site(behaviour)) as site,
        LabelStudioClient(site.url, LEGACY) as client,
        pytest.raises(LabelStudioError) as error,
    ):
        client.get("/api/version")
    assert says in error.value.detail
    assert LEGACY not in error.value.detail


def test_a_missing_url_is_named() -> None:
    with LabelStudioClient("", LEGACY) as client, pytest.raises(LabelStudioError, match="set it to where"):
        client.project(1)


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://host", "http://", "//host", "http://xn--0", "label studio"]
)
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(LabelStudioError, match="LABEL_STUDIO_URL must start with http"):
        LabelStudioClient(url)
