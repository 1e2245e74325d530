from __future__ import annotations

import base64
import logging
from collections.abc import Iterator

import httpx
import pytest
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, click, data_url
from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model
from tests.fakes.settings import settings

PICTURE = draw_scene(5, width=160, height=120).image
SIZE = Size(120, 160)


def test_health_says_up_and_what_answers(client: httpx.Client) -> None:
    health = client.get("/health").json()
    assert (health["status"], health["model_class"]) == ("UP", "SAM2")
    assert health["model_version"] == demo_model().version


def test_setup_answers_the_model_version_and_remembers_a_wrong_config(client: httpx.Client) -> None:
    asked = {"project": "31.1", "schema": "<View><Image name='i' value='$i'/></View>", "hostname": "http://x"}
    assert client.post("/setup", json=asked).json()["model_version"] == demo_model().version
    assert client.get("/").json()["problems"]["31"]["error"] == "LabelConfigError"
    client.post("/setup", json=asked | {"schema": CONFIG})
    assert "31" not in client.get("/").json()["problems"]


def test_ready_and_versions_name_the_loaded_model(client: httpx.Client) -> None:
    assert client.get("/ready").json()["model_version"] == demo_model().version
    assert demo_model().version in client.get("/versions").json()["versions"]


@pytest.mark.parametrize("prefix", ["/pre/fix", "/sam2"])
def test_a_prefix_in_the_backends_address_is_kept_by_label_studio_and_ignored(
    prefix: str, client: httpx.Client
) -> None:
    assert client.get(f"{prefix}/health").json()["status"] == "UP"
    assert client.post(f"{prefix}/predict", json=body("x", [])).status_code == 200


def test_an_event_is_taken_at_once(client: httpx.Client) -> None:
    assert (
        client.post("/webhook", json={"action": "PROJECT_UPDATED", "project": {"id": 1}}).status_code == 202
    )
    assert client.post("/train", json={"project": {"id": 1}}).status_code == 201


def test_an_unknown_route_and_an_unknown_job_are_named_errors(client: httpx.Client) -> None:
    for route, error in (("/nowhere", "NotFound"), ("/jobs/none", "UnknownJob")):
        answer = client.get(route)
        assert (answer.status_code, answer.json()["error"]) == (404, error)


def test_browsers_get_the_page_and_programs_get_json(client: httpx.Client) -> None:
    page = client.get("/", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/").json()["ready"] is True
    assert client.get("/web/sample.jpg").headers["content-type"] == "image/jpeg"


def test_metrics_count_stages_and_embeddings(client: httpx.Client) -> None:
    client.post("/predict", json=body(data_url(PICTURE), [click(30, 40, SIZE)]))
    text = client.get("/metrics").text
    assert 'sam2_stage_seconds_count{stage="decode"}' in text
    assert 'sam2_embedding_cache{kind="encoded"}' in text
    assert 'sam2_queue{kind="click_decode"}' in text


def test_the_time_of_each_stage_goes_along_with_the_answer(client: httpx.Client) -> None:
    answer = client.post("/predict", json=body(data_url(PICTURE), [click(31, 41, SIZE)]))
    assert {"fetch", "embedding", "decode", "upsample", "regions"} <= {
        entry.partition(";")[0].strip() for entry in answer.headers["server-timing"].split(",")
    }


def test_a_request_is_logged_with_its_id_and_stages_and_without_its_body(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="label_studio_sam2"):
        client.post(
            "/predict",
            json=body(data_url(PICTURE), [click(32, 42, SIZE)], secret="do-not-log-me"),
            headers={"X-Request-Id": "abc-123"},
        )
        eventually(lambda: any(one.name == "label_studio_sam2.server.middleware" for one in caplog.records))
    (record,) = [one for one in caplog.records if one.name == "label_studio_sam2.server.middleware"]
    assert "decode" in record.__dict__["stages_ms"]
    assert "do-not-log-me" not in caplog.text
    assert "base64" not in caplog.text


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """A service that wants a password."""
    secret = SecretStr("pässword")
    with running(settings(basic_auth_user="ls", basic_auth_pass=secret), ready=False) as address:
        yield address


@pytest.mark.parametrize("route", ["/health", "/ready"])
def test_probes_are_open(guarded: str, route: str) -> None:
    assert httpx.get(guarded + route).status_code != 401


def test_annotation_webhooks_carry_no_password_and_are_taken(guarded: str) -> None:
    assert httpx.post(guarded + "/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 202


@pytest.mark.parametrize("route", ["/", "/metrics", "/versions", "/jobs", "/web/app.js", "/pre/fix/versions"])
def test_everything_else_wants_the_password(guarded: str, route: str) -> None:
    refused = httpx.get(guarded + route)
    assert (refused.status_code, refused.json()["error"]) == (401, "Unauthorized")
    assert "BASIC_AUTH_USER" in refused.json()["detail"]
    known = base64.b64encode("ls:pässword".encode()).decode()
    assert httpx.get(guarded + route, headers={"Authorization": f"Basic {known}"}).status_code == 200


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!", "Bearer x", "Basic bHM6d3Jvbmc="])
def test_a_wrong_password_is_refused(guarded: str, header: str) -> None:
    assert httpx.get(guarded + "/versions", headers={"Authorization": header}).status_code == 401


def test_a_missing_checkpoint_leaves_the_service_up_and_says_why_it_is_not_ready() -> None:
    with running(settings(model="/no/such/checkpoint.pt"), ready=False) as address:
        assert httpx.get(address + "/health").status_code == 200
        assert httpx.post(address + "/setup", json={"project": "1.1"}).status_code == 200
        answer = httpx.post(address + "/predict", json=body(data_url(PICTURE), [click(1, 1, SIZE)]))
        for refused in (answer, httpx.get(address + "/ready")):
            assert refused.status_code == 503
            assert refused.headers["retry-after"]
            assert refused.json()["error"] == "NotReady"
