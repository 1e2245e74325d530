"""A service that belongs to a Label Studio whose annotators have accepted masks, and what tests do with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from label_studio_sam2.context import Context
from label_studio_sam2.engine.tuning.tune import LIMITS, Limits
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes.eventually import eventually
from tests.fakes.fit_server import FitServer, start_training
from tests.fakes.servers import LEGACY
from tests.fakes.settings import settings

QUICK = Limits(steps=4, scenes=1, pictures=2)
"""Goes through everything and teaches nothing."""

UNHURRIED = replace(LIMITS, collecting=600, searching=600, seconds=1200, labels=1200)
"""What a run does by its steps, however busy the machine is."""

PATIENCE_SECONDS = 1500


@contextmanager
def tuning(folder: Path, site: FitServer, limits: Limits = UNHURRIED) -> Iterator[httpx.Client]:
    """A service that tunes and keeps its versions in this folder."""
    given = settings(
        model_cache=folder,
        label_studio_url=site.url,
        label_studio_api_key=SecretStr(LEGACY),
        media_allowed_hosts=frozenset({"127.0.0.1"}),
    )
    with (
        running(given, context=Context(given, limits, events_seconds=0.1)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        before, site.service = site.service, address
        try:
            yield client
        finally:
            site.service = before


def started(client: httpx.Client, project: int) -> str:
    """The job that Start Training begins, or that it has begun already."""
    answer = client.post("/webhook", json=start_training(project))
    assert answer.status_code == 202
    return str(answer.json()["job"])


def state(client: httpx.Client, job: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/jobs/{job}").json()
    return found


def ended(client: httpx.Client, job: str) -> dict[str, Any]:
    """The job once it has ended."""
    eventually(lambda: state(client, job)["finished"] is not None, PATIENCE_SECONDS)
    return state(client, job)


def trained(client: httpx.Client, project: int) -> dict[str, Any]:
    """What came of Start Training."""
    job = ended(client, started(client, project))
    assert job["state"] == "done", job
    result: dict[str, Any] = job["result"]
    return result


def reaches_tuning(client: httpx.Client, job: str) -> None:
    """Waits until the job has taken a first step."""

    def stepping() -> bool:
        now = state(client, job)
        assert now["finished"] is None, now
        return bool(now["progress"]["unit"] == "steps" and now["progress"]["done"] > 0)

    eventually(stepping, PATIENCE_SECONDS)
