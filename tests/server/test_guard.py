"""Who may ask, and what other sites' pages can do in a browser."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes.fit_server import start_training
from tests.fakes.raw_http import connected, status
from tests.fakes.settings import settings
from tests.server.test_traffic import recorded

USER, PASSWORD = "ls", "pässword"
RIGHT = {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}


def wrong(guess: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{guess}".encode()).decode()}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[httpx.Client]:
    """A service that wants a password; each test's own, for wrong ones are remembered."""
    given = settings(basic_auth_user=USER, basic_auth_pass=SecretStr(PASSWORD), model_cache=tmp_path)
    with (
        running(given, ready=False) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def test_start_training_wants_the_password_that_label_studio_sends_with_it(guarded: httpx.Client) -> None:
    events = [one for one in recorded("basic_auth_requests") if one["path"].endswith("/webhook")]
    (training,) = [one for one in events if one["body"]["action"] == "START_TRAINING"]
    assert "Authorization" in training["headers"]
    refused = guarded.post("/webhook", json=training["body"])
    assert (refused.status_code, refused.json()["error"]) == (401, "Unauthorized")
    assert guarded.get("/jobs", headers=RIGHT).json()["jobs"] == []
    assert guarded.post("/webhook", json=training["body"], headers=RIGHT).json()["job"]
    others = [one for one in events if one is not training]
    for one in others:
        assert "Authorization" not in one["headers"]
        assert guarded.post("/webhook", json=one["body"]).status_code == 202
    assert len(guarded.get("/jobs", headers=RIGHT).json()["jobs"]) == 1


@pytest.mark.parametrize(
    "action", ["START_TRAINING", ["START_TRAINING"], {"START_TRAINING": 1}, "start_training"]
)
def test_no_spelling_of_start_training_starts_it_without_the_password(
    action: Any, guarded: httpx.Client
) -> None:
    for route in ("/webhook", "/train", "/pre/fix/webhook", "/webhook/", "//webhook"):
        guarded.post(route, json=start_training(1) | {"action": action})
    assert guarded.get("/jobs", headers=RIGHT).json()["jobs"] == []


@pytest.mark.parametrize(
    "header", [b"Basic \xff\xfe", b"Basic p\xe4ssword", b"\xff", b"Basic", b"B\xe4sic YTpi", b"Basic =="]
)
def test_an_authorization_that_is_no_text_is_refused_like_any_other(
    header: bytes, guarded: httpx.Client
) -> None:
    head = b"GET /versions HTTP/1.1\r\nHost: x\r\nAuthorization: " + header + b"\r\n\r\n"
    assert status(str(guarded.base_url), head) == 401


@pytest.mark.slow
@pytest.mark.parametrize("route", ["/versions", "/webhook"])
def test_who_guesses_waits_ever_longer_and_who_knows_never(route: str, guarded: httpx.Client) -> None:
    def seconds(headers: dict[str, str], expected: int) -> float:
        begun = monotonic()
        answer = (
            guarded.get(route, headers=headers)
            if route == "/versions"
            else guarded.post(route, json=start_training(1), headers=headers)
        )
        assert answer.status_code == expected
        return monotonic() - begun

    taken = [seconds(wrong(str(n)), 401) for n in range(9)]
    assert max(taken[:5]) < 0.15 < taken[7] < taken[8]
    assert taken[8] > 0.8
    assert seconds(RIGHT, 200 if route == "/versions" else 202) < 0.5
    assert seconds({}, 401) < 0.15  # a browser that has yet to ask its user


def test_any_name_may_be_called_unless_the_admin_lists_some() -> None:
    with running(settings(allowed_hosts=frozenset({"sam2", "10.0.0.5:9090"})), ready=False) as address:

        def called(host: str, route: str = "/versions") -> int:
            return httpx.get(address + route, headers={"Host": host}, trust_env=False).status_code

        assert [called(host) for host in ("sam2", "SAM2:1234", "10.0.0.5:9090")] == [200] * 3
        for host in (
            "evil.example",
            "sam2.evil.example",
            "10.0.0.5",
            "10.0.0.5:1",
            "[::1]:9090",
            "",
            "evil@sam2",
        ):
            assert called(host) == 403
        assert called("evil.example", "/health") == 200
        answer = httpx.get(address + "/versions", headers={"Host": "evil.example"}, trust_env=False)
        assert "ALLOWED_HOSTS" in answer.json()["detail"]


FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://{host}.evil.example"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
)
OURS = (
    {},
    {"Origin": "http://{host}"},
    {"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
)
CHANGING = [
    ("POST", "/predict"),
    ("POST", "/checks"),
    ("POST", "/train"),
    ("POST", "/webhook"),
    ("POST", "/setup"),
    ("POST", "/jobs"),
    ("DELETE", "/jobs/1"),
]


@pytest.mark.parametrize(("method", "route"), CHANGING)
def test_pages_of_other_sites_can_begin_nothing_and_our_own_can(
    method: str, route: str, client: httpx.Client
) -> None:
    def asked(headers: dict[str, str]) -> int:
        host = client.base_url.netloc.decode()
        named = {name: value.format(host=host) for name, value in headers.items()}
        json = {} if method == "POST" else None
        return client.request(method, route, json=json, headers=named).status_code

    assert [asked(headers) for headers in FOREIGN] == [403] * len(FOREIGN)
    assert 403 not in [asked(headers) for headers in OURS]


@pytest.mark.parametrize("route", ["/predict", "/webhook", "/train", "/setup", "/jobs"])
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
)
def test_a_body_that_a_form_could_send_is_refused(route: str, kind: str, client: httpx.Client) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = client.post(route, content=b'{"project": 1, "kind": "fit"}', headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (415, "NotJson")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"]
)
def test_json_is_taken_by_any_of_its_names(kind: str, client: httpx.Client) -> None:
    answer = client.post("/setup", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 200


def test_everything_that_is_answered_says_what_a_browser_may_do_with_it(client: httpx.Client) -> None:
    html = {"Accept": "text/html"}
    answers = [
        client.get("/", headers=html),
        client.get("/"),
        client.get("/web/app.js"),
        client.get("/nowhere"),
    ]
    answers += [client.get("/health"), client.post("/predict", json=[])]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "route",
    [
        "/",
        "/health",
        "/ready",
        "/versions",
        "/metrics",
        "/jobs",
        "/web/app.js",
        "/web/sample.jpg",
        "/web/sample.mp4",
        "/jobs/none",
        "/reports/1/1",
        "/openapi.json",
        "/pre/fix/versions",
    ],
)
def test_head_answers_as_get_does_without_the_content(route: str, client: httpx.Client) -> None:
    get, head = client.get(route), client.head(route)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_on_a_route_that_only_takes_posts_is_refused_as_get_is(client: httpx.Client) -> None:
    assert client.head("/predict").status_code == client.get("/predict").status_code == 405


@pytest.mark.parametrize("route", ["/reports/abc/1", "/reports/1/x", "/reports/1/" + "9" * 5000])
def test_a_wrong_address_is_said_in_the_documented_shape(route: str, client: httpx.Client) -> None:
    answer = client.get(route)
    assert answer.status_code in {404, 422}
    assert set(answer.json()) == {"detail", "error"}
    assert len(answer.text) < 2000


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        (b"abc-123", "abc-123"),
        (b"a" * 63 + b" b", "a" * 63),
        (b"a" * 100, "a" * 64),
        (b"tab\there", "tabhere"),
        (b"\xff\xe4", None),
        (b" ", None),
    ],
)
def test_a_requests_id_is_answered_cleaned(given: bytes, answered: str | None, address: str) -> None:
    with connected(address) as each:
        each.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + given + b"\r\n\r\n")
        head = each.recv(4096).decode()
    (found,) = [line.partition(": ")[2] for line in head.splitlines() if line.startswith("x-request-id")]
    assert found == (answered or found)
    assert found
    assert found.isascii()
