from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.commands.following import JobFailedError
from label_studio_sam2.errors import NotReady
from typer.testing import CliRunner, Result

from tests.fit_server import FitServer
from tests.http.test_fit import random_masks
from tests.labelstudio.servers import Exchange, Site, serving
from tests.tuning_service import QUICK, tuning

FIGURES = {
    "one click": {"before": 0.49, "after": 0.615},
    "three clicks": {"before": 0.7, "after": 0.8},
    "box": {"before": 0.75, "after": 0.85},
}
REASON = "Used: held-out IoU rises by 0.108 (±0.031)."


@pytest.fixture(scope="module")
def site() -> Iterator[FitServer]:
    with serving(FitServer()) as site:
        yield site


@pytest.fixture(scope="module")
def client(site: FitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with tuning(tmp_path_factory.mktemp("models"), site, QUICK) as client:
        yield client


def fit(project: int, address: str) -> Result:
    """`label-studio-sam2 fit --project N`."""
    arguments = ["fit", "--project", str(project), "--service", address]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.mark.slow
def test_the_running_service_tunes_and_the_command_says_what_came_of_it(
    site: FitServer, client: httpx.Client
) -> None:
    project = site.make()
    random_masks(site, project)
    done = fit(project, str(client.base_url))
    (version,) = client.get("/versions").json()["tuned"]
    assert (version["project"], version["accepted"]) == (project, False)
    assert version["reason"] in done.output
    for kind, ious in version["figures"]["held_out"].items():
        assert f"{ious['before']:.3f}" in next(line for line in done.output.splitlines() if kind in line)
    assert done.exit_code == 1


def test_too_few_masks_are_said_and_no_version_made(site: FitServer, client: httpx.Client) -> None:
    done = fit(site.make(), str(client.base_url))
    assert (done.exit_code, "0 accepted masks" in done.output) == (1, True)


def test_a_project_that_there_isnt_fails_with_label_studios_answer(client: httpx.Client) -> None:
    done = fit(999, str(client.base_url))
    assert done.exit_code == 1
    assert isinstance(done.exception, JobFailedError)
    assert "404" in done.exception.detail


def test_a_better_version_ends_with_its_figures_and_success() -> None:
    result = {"used": True, "reason": REASON, "figures": {"held_out": FIGURES}}
    job: dict[str, Any] = {
        "id": "a1",
        "kind": "fit",
        "title": "Project 7",
        "state": "done",
        "progress": {"done": 400, "total": 400, "unit": "steps"},
        "message": "",
        "result": result,
        "finished": "2025-01-01T00:00:00+00:00",
    }

    def answer(exchange: Exchange) -> None:
        exchange.json(202, job)

    with serving(Site(answer)) as service:
        done = fit(7, service.url)
        assert done.exit_code == 0
        assert REASON in done.output
        assert all(f"{ious['after']:.3f}" in done.output for ious in FIGURES.values())
        (asked,) = service.seen
        assert (asked.method, asked.path, asked.body) == ("POST", "/jobs", b'{"kind":"fit","project":7}')


def test_a_service_that_is_not_there_is_named() -> None:
    assert isinstance(fit(1, "http://127.0.0.1:1").exception, NotReady)
