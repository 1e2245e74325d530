"""Doctor's checks as the service itself makes them, in the background."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes.eventually import eventually
from tests.fakes.label_studio_server import Project, ProjectServer
from tests.fakes.running_service import RunningService
from tests.fakes.servers import LEGACY, Exchange, serving
from tests.fakes.settings import settings


class SlowLabelStudio(ProjectServer):
    """It answers nothing before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def _answer(self, exchange: Exchange) -> None:
        assert self.released.wait(20)
        super()._answer(exchange)


@pytest.fixture
def label_studio() -> Iterator[SlowLabelStudio]:
    """With one project, of which no ML backend is interactive."""
    with serving(SlowLabelStudio()) as server, serving(RunningService()) as service:
        backend = {"id": 1, "url": service.url, "is_interactive": False, "state": "CO"}
        server.projects = [Project("Cars", TEMPLATES["brush"].with_labels(), [backend])]
        yield server
        server.released.set()


PICTURE = "/data/upload/1/0123abcd-car.png"


@pytest.fixture
def client(label_studio: SlowLabelStudio) -> Iterator[httpx.Client]:
    given = settings(label_studio_url=label_studio.url, label_studio_api_key=SecretStr(LEGACY))
    with running(given, ready=False) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def checks(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/").json()["checks"]
    return found


def connection(client: httpx.Client) -> list[str]:
    """How the project's connection stands, as far as the last run has found out."""
    return [check["state"] for check in checks(client)["found"] if check["name"] == "connection"]


def test_the_status_carries_the_checks_and_never_waits_for_label_studio(
    client: httpx.Client, label_studio: SlowLabelStudio
) -> None:
    assert checks(client) == {"found": [], "at": None, "running": True}
    assert client.get("/health").json()["status"] == "UP"
    label_studio.released.set()
    eventually(lambda: not checks(client)["running"])
    found = {check["name"]: check for check in checks(client)["found"]}
    assert found["checkpoint"]["state"] == found["key"]["state"] == "ok"
    assert found["connection"]["project"] == 1
    assert "not interactive" in found["connection"]["sentence"]
    assert "connect --project 1" in found["connection"]["remedy"]


def test_the_checks_are_made_anew_on_demand(client: httpx.Client, label_studio: SlowLabelStudio) -> None:
    label_studio.released.set()
    checks(client)
    eventually(lambda: connection(client) == ["problem"])
    label_studio.projects[0].backends[0]["is_interactive"] = True
    assert connection(client) == ["problem"]
    assert client.post("/checks").status_code == 202
    eventually(lambda: connection(client) == ["ok"])


def test_one_run_at_a_time_asks_label_studio(client: httpx.Client, label_studio: SlowLabelStudio) -> None:
    for _ in range(3):
        client.post("/checks")
    label_studio.released.set()
    eventually(lambda: not checks(client)["running"])
    assert len(label_studio.requests("/api/version")) == 1


def looked(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """What the last look found, by its name, once none is going on."""
    eventually(lambda: not checks(client)["running"])
    return {check["name"]: check for check in checks(client)["found"]}


def test_a_status_that_is_looked_at_fetches_no_media_and_changes_nothing_in_label_studio(
    client: httpx.Client, label_studio: SlowLabelStudio
) -> None:
    label_studio.released.set()
    project = label_studio.projects[0]
    project.backends[0] |= {"is_interactive": True, "url": "http://sam2.invalid:9090"}
    project.webhooks.append({"id": 1, "url": "http://sam2.invalid:9090/webhook"})
    project.tasks.append({"id": 1, "data": {"image": PICTURE}})
    label_studio.files[PICTURE] = b"pixels"
    label_studio.blocks_webhooks = True

    found = looked(client)
    assert found["connection"]["state"] == "problem"
    assert "doctor --project 1" in found["connection"]["remedy"]
    assert not found.keys() & {"media", "webhooks"}
    assert label_studio.writes == []
    assert label_studio.requests(PICTURE) == []

    client.post("/checks")
    found = looked(client)
    assert "http://sam2.invalid:9090" in found["connection"]["sentence"]
    assert (found["media"]["state"], found["webhooks"]["state"]) == ("ok", "warning")
    assert label_studio.writes == ["PATCH /api/ml/1", "PATCH /api/webhooks/1/"]

    client.post("/checks")
    looked(client)
    assert len(label_studio.requests(PICTURE)) == 1, "the service keeps what it has fetched"
