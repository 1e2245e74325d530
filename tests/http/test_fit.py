from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2.commands.running import running
from label_studio_sam2.engine.tuning import Limits
from label_studio_sam2.geometry import iou
from label_studio_sam2.service import Service
from label_studio_sam2.types import Bitmap, Size
from pydantic import SecretStr

from tests.engine.networks import demo_model
from tests.eventually import eventually
from tests.fit_server import FitServer, noise, start_training
from tests.http.asking import CONFIG, body, click, data_url, inside, mask_of, regions_of
from tests.http.conftest import settings
from tests.labelstudio.servers import LEGACY, serving
from tests.ring_project import ring_picture

SHORT = Limits(steps=4)
ENOUGH = Limits(seconds=120, steps=300)
ACCEPTED = 40
ASKED = range(1000, 1010)


@contextmanager
def tuning(folder: Path, site: FitServer, limits: Limits = SHORT) -> Iterator[httpx.Client]:
    """A service that belongs to this Label Studio."""
    given = settings(
        model_cache=folder,
        label_studio_url=site.url,
        label_studio_api_key=SecretStr(LEGACY),
        media_allowed_hosts=frozenset({"127.0.0.1"}),
    )
    with (
        running(given, service=Service(given, limits)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def site() -> Iterator[FitServer]:
    with serving(FitServer()) as site:
        yield site


def trained(client: httpx.Client, seconds: float = 120) -> dict[str, Any]:
    """The result of the job that Start Training begins."""
    started = client.post("/webhook", json=start_training())
    assert started.status_code == 202
    path = f"/jobs/{started.json()['job']}"
    eventually(lambda: client.get(path).json()["finished"] is not None, seconds)
    job: dict[str, Any] = client.get(path).json()
    return job


def clicked(client: httpx.Client, project: str = "1.1") -> tuple[float, str]:
    """The mean IoU of one click on new pictures of rings, and who answered."""
    ious, version = [], ""
    for seed in ASKED:
        picture = ring_picture(seed)
        size = Size(*picture.ring.shape)
        asked = body(data_url(picture.pixels), [click(*inside(picture.ring), size)], CONFIG, project=project)
        answer = client.post("/predict", json=asked)
        ious.append(iou(mask_of(regions_of(answer)[0]), picture.accepted))
        version = answer.json()["results"][0]["model_version"]
    return float(np.mean(ious)), version


@pytest.mark.slow
def test_forty_accepted_masks_teach_one_click_what_the_project_calls_an_object(
    site: FitServer, tmp_path: Path
) -> None:
    for seed in range(ACCEPTED):
        picture = ring_picture(seed)
        site.annotate(picture.pixels, [picture.accepted])
    with tuning(tmp_path, site, ENOUGH) as client:
        before, base = clicked(client)
        result = trained(client)["result"]
        assert result["used"], result["reason"]
        after, version = clicked(client)
        elsewhere, other = clicked(client, project="2.1")
        assert after >= before + 0.10, (before, after, result)
        assert (base, version) == (demo_model().version, f"{demo_model().version}+project1.v1")
        assert (elsewhere, other) == (before, base)
        assert version in client.get("/versions").json()["versions"]
        report = client.get(result["report"])
        assert report.headers["content-type"].startswith("text/html")
        assert report.text.count("<img") == 6
        assert client.post("/setup", json={"project": "1.1", "schema": CONFIG}).json() == {
            "model_version": version
        }


def blot(seed: int) -> Bitmap:
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 96), np.bool_)
    x, y = int(rng.integers(0, 70)), int(rng.integers(0, 40))
    mask[y : y + int(rng.integers(8, 24)), x : x + int(rng.integers(8, 26))] = True
    return mask


def nothing_accepted(site: FitServer) -> None:
    site.annotate(noise(1), [blot(1)], was_cancelled=True)


def a_single_mask(site: FitServer) -> None:
    site.annotate(noise(1), [blot(1)])


def unreadable_pictures(site: FitServer) -> None:
    for seed in range(24):
        site.files[site.annotate(noise(seed), [blot(seed)])["data"]["image"]] = b"no picture"


def random_masks(site: FitServer) -> None:
    for seed in range(24):
        site.annotate(noise(seed), [blot(seed)])


def contradictory_masks(site: FitServer) -> None:
    for seed in range(24):
        picture = ring_picture(seed, 96, 64)
        site.annotate(picture.pixels, [picture.accepted if seed % 2 else picture.accepted & ~picture.ring])


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        (nothing_accepted, "too few"),
        (a_single_mask, "too few"),
        (unreadable_pictures, "24 could not be used"),
        (random_masks, "Not used"),
        (contradictory_masks, "Not used"),
    ],
)
def test_a_project_that_teaches_nothing_leaves_the_model_as_it_is_and_says_why(
    project: Any, reason: str, site: FitServer, tmp_path: Path
) -> None:
    project(site)
    with tuning(tmp_path, site) as client:
        job = trained(client)
        assert job["state"] == "done", job
        assert (job["result"]["used"], reason in job["result"]["reason"]) == (False, True), job["result"]
        answer = client.post("/predict", json=body(data_url(noise(1)), [click(9, 9, Size(64, 96))]))
        assert answer.json()["results"][0]["model_version"] == demo_model().version


def test_start_training_without_a_label_studio_fails_with_what_to_set(
    tmp_path: Path, site: FitServer
) -> None:
    given = settings(model_cache=tmp_path, label_studio_url="")
    with running(given) as address, httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        job = trained(client)
        assert job["state"] == "failed"
        assert "LABEL_STUDIO_URL" in job["message"]


def test_a_storm_of_events_becomes_one_run(site: FitServer, tmp_path: Path) -> None:
    random_masks(site)
    with tuning(tmp_path, site) as client:
        for _ in range(5):
            client.post("/webhook", json=start_training())
        client.post("/train", json={"project": "1.123"})
        started = {client.post("/webhook", json=start_training()).json()["job"] for _ in range(5)}
        assert len(started) == 1
        eventually(lambda: client.get("/jobs").json()["jobs"][0]["finished"] is not None, 60)
        assert len(client.get("/jobs").json()["jobs"]) == 1


@pytest.mark.parametrize(("annotations", "starts"), [(2, False), (3, True)])
def test_a_project_may_ask_to_be_tuned_every_few_annotations(
    annotations: int, starts: bool, site: FitServer, tmp_path: Path
) -> None:
    config = CONFIG.replace('smart="false"', 'smart="false" model_fit_every="3"')
    event = start_training() | {"action": "ANNOTATION_CREATED"}
    event["project"] |= {"label_config": config, "total_annotations_number": annotations}
    with tuning(tmp_path, site) as client:
        answer = client.post("/webhook", json=event)
        assert ("job" in answer.json()) is starts
