"""A whole project at once, every tenth of its tasks broken, and a service that is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.e2e.backend import Backend
from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.e2e.pictures import Picture, brush_mask, iou
from tests.fakes.eventually import eventually

BATCH = 200
PROJECT = 60
"""Fewer, for each is listed and stored by calls of its own."""

WIDTH, HEIGHT = 160, 120
PATIENCE_SECONDS = 180

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Thing"/></RectangleLabels>
  <BrushLabels name="result" toName="image" smart="false"><Label value="Thing"/></BrushLabels>
</View>"""


@pytest.fixture(scope="module")
def picture() -> Picture:
    return Picture.draw(8, WIDTH, HEIGHT)


@pytest.fixture
def backend(label_studio: LabelStudio, tmp_path: Any) -> Iterator[Backend]:
    """One that may be killed."""
    settings = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    running = Backend(tmp_path / "backend", settings)
    running.start()
    yield running
    running.stop()


def project_of(count: int, label_studio: LabelStudio, picture: Picture) -> int:
    """A project whose tasks carry a detector's box; of every tenth the picture is gone."""
    project = label_studio.create_project(f"{count} tasks", CONFIG)
    address = label_studio.upload_only(project, "picture.png", picture.png())
    addresses = [f"/data/upload/{project}/gone.png" if broken(n) else address for n in range(count)]
    boxes = [detection(picture)]
    label_studio.add_tasks(project, *({"image": image, "detections": boxes} for image in addresses))
    return project


def broken(number: int) -> bool:
    return number % 10 == 3


def once(count: int) -> list[int]:
    """How many predictions each task is to have."""
    return [0 if broken(n) else 1 for n in range(count)]


def detection(picture: Picture) -> dict[str, Any]:
    """The box of its largest subject, as a detector's output stands in task data."""
    (left, top), (right, bottom) = picture.subjects[0].corners
    value = {
        "x": 100 * left / WIDTH,
        "y": 100 * top / HEIGHT,
        "width": 100 * (right - left) / WIDTH,
        "height": 100 * (bottom - top) / HEIGHT,
        "rotation": 0,
        "rectanglelabels": ["Thing"],
    }
    return {"id": "a", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value}


def stored(label_studio: LabelStudio, project: int) -> list[int]:
    """How many predictions each task has."""
    return [len(task["predictions"]) for task in label_studio.tasks(project)]


def jobs_of(backend: Backend) -> list[dict[str, Any]]:
    """The service's jobs that make masks, the newest first."""
    answer = httpx.get(backend.url + "/jobs", trust_env=False, timeout=30).json()
    return [job for job in answer["jobs"] if job["kind"] == "masks"]


def test_a_batch_of_two_hundred_tasks_is_answered_whatever_is_broken_and_says_what_was(
    label_studio: LabelStudio, backend: Backend, picture: Picture
) -> None:
    project = project_of(BATCH, label_studio, picture)
    connected = label_studio.connect(project, backend.url)

    label_studio.retrieve_predictions(project)

    assert stored(label_studio, project) == once(BATCH)
    (prediction,) = label_studio.tasks(project)[0]["predictions"]
    assert prediction["model_version"] == connected["model_version"]
    (region,) = prediction["result"]
    assert region["value"]["brushlabels"] == ["Thing"]
    assert iou(brush_mask(region), picture.subjects[0].mask) > 0.7

    (job,) = jobs_of(backend)
    assert (job["result"]["answered"], job["result"]["failed"]) == (180, 20)
    failed = [task["id"] for n, task in enumerate(label_studio.tasks(project)) if broken(n)]
    said = backend.log.read_text()
    for task, reason in zip(failed, job["result"]["reasons"], strict=True):
        assert reason.startswith(f"Task {task}: ")
        assert f"Task {task}: " in said
    doctor = backend.run("doctor", "--project", str(project))
    assert f"Task {failed[-1]}: " in " ".join(doctor.stdout.split())

    label_studio.retrieve_predictions(project)  # only what has none yet is asked for again
    assert jobs_of(backend)[0]["title"] == f"20 tasks of project {project}"
    assert stored(label_studio, project) == once(BATCH)


def test_a_project_that_is_predicted_by_a_service_that_is_killed_gets_each_prediction_once(
    label_studio: LabelStudio, backend: Backend, picture: Picture
) -> None:
    project = project_of(PROJECT, label_studio, picture)
    command = subprocess.Popen(
        [sys.executable, "-m", "label_studio_sam2", "predict", "--project", str(project)],
        env=backend.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: sum(stored(label_studio, project)) >= 5, PATIENCE_SECONDS)
    backend.kill()
    os.kill(command.pid, signal.SIGKILL)
    command.wait(30)
    before = sum(stored(label_studio, project))
    assert 5 <= before < 54

    backend.start()
    finished = backend.run("predict", "--project", str(project))

    assert finished.returncode == 1  # some tasks are broken
    assert f"{54 - before} stored" in finished.stdout
    assert stored(label_studio, project) == once(PROJECT)
    again = backend.run("predict", "--project", str(project))
    assert " stored" not in again.stdout
    assert stored(label_studio, project) == once(PROJECT)


def test_a_batch_whose_service_is_killed_stores_nothing_and_the_next_one_everything_once(
    label_studio: LabelStudio, backend: Backend, picture: Picture
) -> None:
    project = project_of(BATCH, label_studio, picture)
    label_studio.connect(project, backend.url)
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(label_studio.retrieve_predictions, project)
        eventually(lambda: any(job["progress"]["done"] for job in jobs_of(backend)), PATIENCE_SECONDS)
        backend.kill()
        asking.result(PATIENCE_SECONDS)
    assert not any(stored(label_studio, project))

    backend.start()
    label_studio.retrieve_predictions(project)

    assert stored(label_studio, project) == once(BATCH)
