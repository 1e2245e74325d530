from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.commands.service import Refused
from label_studio_sam2.errors import NotReady
from typer.testing import CliRunner, Result

from tests.fakes.accepted import random_masks
from tests.fakes.fit_server import FitServer
from tests.fakes.servers import Exchange, Site, serving
from tests.fakes.tuning_service import QUICK, tuning

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
    assert f"versions use {project} {version['number']}" in done.output
    for kind, ious in version["figures"]["held_out"].items():
        assert f"{ious['before']:.3f}" in next(line for line in done.output.splitlines() if kind in line)
    assert done.exit_code == 1


def test_too_few_masks_are_said_and_no_version_made(site: FitServer, client: httpx.Client) -> None:
    done = fit(site.make(), str(client.base_url))
    assert (done.exit_code, "0 accepted masks" in done.output) == (1, True)


def test_a_project_that_there_isnt_fails_with_label_studios_answer(client: httpx.Client) -> None:
    done = fit(999, str(client.base_url))
    assert done.exit_code == 1
    assert isinstance(done.exception, Refused)
    assert "404" in done.exception.detail


def job(**given: Any) -> dict[str, Any]:
    return {
        "id": "a1",
        "kind": "fit",
        "title": "Project 7",
        "state": "done",
        "progress": {"done": 400, "total": 400, "unit": "steps"},
        "message": "",
        "result": None,
        "finished": "2025-01-01T00:00:00+00:00",
    } | given


def test_a_version_that_is_not_better_is_named_with_the_command_that_uses_it_nevertheless() -> None:
    use = (
        "`label-studio-sam2 versions use 7 12` uses it all the same: held-out IoU [-0.050], elsewhere 0.990."
    )
    result = {
        "used": False,
        "version": "project7.v12-1a2b",
        "reason": f"Not used: it is worse with box. {use}",
    }
    with serving(Site(lambda exchange: exchange.json(202, job(result=result)))) as service:
        done = fit(7, service.url)
    assert done.exit_code == 1
    assert use in done.output  # in one piece, so that it can be copied


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C reaches the test, also where its shell runs it in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("command", "left"), [("fit", "no version was made"), ("warm", "what is done stays")]
)
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_cancels_the_job_and_says_so(command: str, left: str) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.json(202, job(kind=command, state="running", finished=None))
        if exchange.command == "GET":
            os.kill(os.getpid(), signal.SIGINT)

    with serving(Site(answer)) as service:
        done = CliRunner().invoke(app, [command, "--project", "7", "--service", service.url])
        assert [seen.method for seen in service.seen] == ["POST", "GET", "DELETE"]
    assert done.exit_code == 130
    assert f"Cancelled: {left}" in done.stderr


def test_what_is_no_service_is_named_and_not_read() -> None:
    with serving(Site(lambda exchange: exchange.reply(200, b"<html>"))) as site:
        done = fit(7, site.url)
    assert isinstance(done.exception, Refused)
    assert "is not this service" in done.exception.detail


def test_a_better_version_ends_with_its_figures_and_success() -> None:
    result = {"used": True, "reason": REASON, "figures": {"held_out": FIGURES}}

    def answer(exchange: Exchange) -> None:
        exchange.json(202, job(result=result))

    with serving(Site(answer)) as service:
        done = fit(7, service.url)
        assert done.exit_code == 0
        assert REASON in done.output
        assert all(f"{ious['after']:.3f}" in done.output for ious in FIGURES.values())
        (asked,) = service.seen
        assert (asked.method, asked.path, asked.body) == ("POST", "/jobs", b'{"kind":"fit","project":7}')


def test_a_service_that_is_not_there_is_named() -> None:
    assert isinstance(fit(1, "http://127.0.0.1:1").exception, NotReady)
