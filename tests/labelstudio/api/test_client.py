from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from threading import Barrier, Event
from urllib.parse import parse_qs, urlsplit

import pytest
from label_studio_sam2.errors import LabelStudioError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.tokens import AccessKey

from tests.fakes.eventually import eventually
from tests.fakes.servers import LEGACY, PERSONAL, Exchange, LabelStudio, Site, access_token, serving


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


def test_projects_come_page_by_page_and_only_as_wanted() -> None:
    def paged(exchange: Exchange) -> None:
        page = int(exchange.path.partition("?page=")[2].partition("&")[0])
        numbers = range(2 * page - 2, min(2 * page, 5))
        exchange.json(200, {"count": 5, "results": [{"id": number} for number in numbers]})

    with serving(Site(paged)) as site, LabelStudioClient(site.url, LEGACY) as client:
        projects = client.projects()
        assert next(projects) == {"id": 0}
        assert len(site.seen) == 1
        assert [project["id"] for project in projects] == [1, 2, 3, 4]
    assert len(site.seen) == 3
    assert site.seen[0].path == "/api/projects/?page=1&page_size=100"


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
        assert client.call("DELETE", "/api/ml/1/") is None
    assert site.seen[0].method == "DELETE"


NO_TOKEN = [{}, [], None, "text", 3, {"access": None}, {"access": 7}, {"access": "a\r\nb"}]


@pytest.mark.parametrize("answer", NO_TOKEN)
def test_an_exchange_without_an_access_token_says_where_to_look(answer: object) -> None:
    with (
        serving(Site(lambda exchange: exchange.json(200, answer))) as site,
        LabelStudioClient(site.url, PERSONAL) as client,
        pytest.raises(LabelStudioError, match="without an access token: check that LABEL_STUDIO_URL"),
    ):
        client.project(1)


def test_a_label_studio_that_hangs_keeps_all_who_wait_for_a_token_once() -> None:
    asked, let_go, time = [], Event(), [0.0]

    def hangs(personal: str) -> str:
        asked.append(personal)
        let_go.wait(10)
        raise LabelStudioError("no answer in time")

    key = AccessKey(PERSONAL, hangs, now=lambda: time[0])
    with ThreadPoolExecutor(5) as pool:
        clicks = [pool.submit(key.authorization) for _ in range(5)]
        eventually(lambda: bool(asked))
        time[0] = 10.0
        let_go.set()
        assert {str(click.exception()) for click in clicks} == {"no answer in time"}
    for time[0], exchanges in ((10.9, 1), (11.1, 2)):
        with pytest.raises(LabelStudioError, match="no answer in time"):
            key.authorization()
        assert len(asked) == exchanges


@dataclass
class BusyAtFirst:
    """Answers the first requests to a path with a status, then with JSON."""

    status: int
    times: int
    retry_after: str = "0"
    answer: object = None

    def __call__(self, exchange: Exchange) -> None:
        if sum(seen.path == exchange.path for seen in exchange.server.seen) > self.times:
            exchange.json(200, self.answer)
        else:
            exchange.reply(self.status, b"<html>", {"Retry-After": self.retry_after})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_is_read_is_asked_for_again_where_label_studio_is_busy(status: int) -> None:
    with (
        serving(Site(BusyAtFirst(status, 2, answer={"id": 1}))) as site,
        LabelStudioClient(site.url, LEGACY) as client,
    ):
        assert client.project(1) == {"id": 1}


@pytest.mark.parametrize(("status", "tries"), [(429, 2), (503, 2), (500, 1), (502, 1), (504, 1)])
def test_what_is_written_is_written_again_only_where_nothing_was_done(status: int, tries: int) -> None:
    with (
        serving(Site(BusyAtFirst(status, 1, answer={"id": 9}))) as site,
        LabelStudioClient(site.url, LEGACY) as client,
        suppress(LabelStudioError),
    ):
        client.create_prediction(4, [], model_version="v")
    assert len(site.seen) == tries


@pytest.mark.parametrize("retry_after", ["0", "3600"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_label_studio_that_stays_busy_is_called_busy(status: int, retry_after: str) -> None:
    with (
        serving(Site(BusyAtFirst(status, 99, retry_after))) as site,
        LabelStudioClient(site.url, LEGACY) as client,
        pytest.raises(LabelStudioError, match=rf"Label Studio is busy \({status} .*try again soon"),
    ):
        client.project(1)


def test_a_token_is_exchanged_again_where_label_studio_is_busy() -> None:
    def busy(exchange: Exchange) -> None:
        if exchange.command == "POST":
            BusyAtFirst(503, 1, answer={"access": access_token(1)})(exchange)
        else:
            exchange.json(200, {"id": 1})

    with serving(Site(busy)) as site, LabelStudioClient(site.url, PERSONAL) as client:
        assert client.project(1) == {"id": 1}


def test_a_project_of_which_one_page_comes_late_is_read_to_its_end() -> None:
    def pages(exchange: Exchange) -> None:
        query = json.loads(parse_qs(urlsplit(exchange.path).query)["query"][0])
        after = query["filters"]["items"][-1]["value"]
        tasks = [{"id": number, "data": {}} for number in range(after + 1, min(after + 21, 61))]
        BusyAtFirst(503, int(after == 20), answer={"tasks": tasks, "total": 60})(exchange)

    with serving(Site(pages)) as site, LabelStudioClient(site.url, LEGACY) as client:
        assert [task.id for task in project_tasks.tasks(client, 1)] == list(range(1, 61))
    assert len(site.seen) == 5


def web_page(exchange: Exchange) -> None:
    exchange.reply(200, b"<!doctype html>")


def refuses(exchange: Exchange) -> None:
    exchange.json(400, {"detail": "Validation error", "validation_errors": {"url": ["Bad URL"]}})


def forbidden(exchange: Exchange) -> None:
    exchange.json(403, {"detail": "You do not have permission"})


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (web_page, "isn't Label Studio's API (GET /api/version gives 200 and no JSON)"),
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
