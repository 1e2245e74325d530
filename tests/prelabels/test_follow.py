"""The tasks of a project in their order are a film: what is annotated on one is followed through the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes import asking_list
from tests.fakes.asking import CONFIG, Region, mask_of
from tests.fakes.asking_list import COUNT, GONE, SMALL, addresses, ask, box, masks, mean_iou, truth
from tests.fakes.eventually import eventually
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings

THIRD, LATER = 2, 9
BROKEN = 4


@pytest.fixture
def label_studio() -> Iterator[ProjectServer]:
    """A task for each picture of the list."""
    with serving(ProjectServer(CONFIG)) as site:
        site.add(*addresses())
        yield site


@pytest.fixture
def client(label_studio: ProjectServer) -> Iterator[httpx.Client]:
    given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
    with (
        running(settings(**given)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        eventually(lambda: client.get("/ready").status_code == 200, seconds=60)
        yield client


def brushed(place: int, thing: int = 0, *, label: str = "Car") -> Region:
    """An accepted mask."""
    mask = truth(place, thing)
    value = {"format": "rle", "rle": brush_rle.encode(mask), "brushlabels": [label]}
    return {
        "id": f"{place}-{thing}",
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "image",
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
        "value": value,
    }


def annotate(site: ProjectServer, task: int, *regions: Region, **more: Any) -> None:
    kept = [{key: value for key, value in one.items() if key != "item_index"} for one in regions]
    site.tasks[task]["annotations"] = [{"id": 50 + task, "result": kept, **more}]


def followed(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    """The job at its end."""
    answer = client.post("/jobs", json={"kind": "follow", "project": PROJECT, **asked})
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]
    eventually(lambda: client.get(f"/jobs/{number}").json()["state"] not in {"queued", "running"}, seconds=60)
    job: dict[str, Any] = client.get(f"/jobs/{number}").json()
    return job


def stored(site: ProjectServer, label: str = "Car") -> dict[int, np.ndarray[Any, Any]]:
    """The masks of a label that tasks got, by the place of their picture."""
    return {
        task - 1: mask_of(region)
        for task in site.tasks
        for prediction in site.predictions(task)
        for region in prediction["result"]
        if region["value"]["brushlabels"] == [label]
    }


OTHERS = [place for place in range(COUNT) if place not in {*GONE, THIRD}]


@pytest.mark.parametrize("drawn", [brushed, box])
def test_what_is_annotated_on_one_task_is_stored_on_all_others_that_show_it(
    client: httpx.Client, label_studio: ProjectServer, drawn: Any
) -> None:
    annotate(label_studio, THIRD + 1, drawn(THIRD))
    job = followed(client)
    assert (job["state"], job["kind"]) == ("done", "follow")
    assert job["result"] == {"annotated": 1, "stored": len(OTHERS), "without masks": len(GONE), "reasons": []}
    found = stored(label_studio)
    assert sorted(found) == OTHERS
    assert mean_iou(found | {THIRD: truth(THIRD)}) > 0.9
    assert found[SMALL].shape == truth(SMALL).shape
    (prediction,) = label_studio.predictions(1)
    (region,) = prediction["result"]
    assert "item_index" not in region
    assert 0 < prediction["score"] <= 1
    assert prediction["model_version"] == client.get("/ready").json()["model_version"]


def test_nothing_is_stored_twice(client: httpx.Client, label_studio: ProjectServer) -> None:
    annotate(label_studio, THIRD + 1, brushed(THIRD))
    followed(client)
    again = followed(client)
    assert again["result"]["there already"] == len(OTHERS)
    assert all(len(label_studio.predictions(place + 1)) == 1 for place in OTHERS)


def test_tasks_are_followed_in_the_order_that_is_asked_for_and_no_others(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    """Backward, and but for the ends."""
    annotate(label_studio, LATER + 1, brushed(LATER))
    order = [place + 1 for place in range(COUNT - 2, 0, -1)]
    assert followed(client, tasks=order)["state"] == "done"
    expected = [place for place in range(1, COUNT - 1) if place not in {*GONE, LATER}]
    assert sorted(stored(label_studio)) == expected


def test_several_annotated_tasks_are_followed_as_prompts_on_a_list_are(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    """The second one corrects the first's object from there on; another label is another object."""
    dog = asking_list.box(THIRD, 1)
    dog["value"] = dog["value"] | {"rectanglelabels": ["Dog"]}
    annotate(label_studio, THIRD + 1, box(THIRD), dog)
    annotate(label_studio, LATER + 1, box(LATER, 1))
    job = followed(client)
    assert job["result"]["annotated"] == 2
    listed = ask(client, box(THIRD), dog, box(LATER, 1))
    for label in ("Car", "Dog"):
        found = stored(label_studio, label)
        expected = masks([one for one in listed if one["value"]["brushlabels"] == [label]])
        assert found.keys() == expected.keys() - {THIRD, LATER}
        assert all(np.array_equal(found[place], expected[place]) for place in found)
        assert len(found) > 6


def test_a_task_whose_picture_is_broken_is_passed_over_and_named(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    label_studio.tasks[BROKEN + 1]["data"]["image"] = "data:image/png;base64,AAAA"
    annotate(label_studio, THIRD + 1, brushed(THIRD))
    job = followed(client)
    assert job["result"]["failed"] == 1
    assert job["result"]["reasons"][0].startswith(f"Task {BROKEN + 1}: ")
    assert sorted(stored(label_studio)) == [place for place in OTHERS if place != BROKEN]


def test_what_a_box_was_only_drawn_for_is_no_object_of_its_own(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    annotate(label_studio, THIRD + 1, box(THIRD), brushed(THIRD))
    followed(client)
    assert all(len(label_studio.predictions(place + 1)[0]["result"]) == 1 for place in OTHERS)


def test_skipped_annotations_are_not_followed_and_that_nothing_is_left_is_said(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    annotate(label_studio, THIRD + 1, brushed(THIRD), was_cancelled=True)
    job = followed(client)
    assert (job["state"], stored(label_studio)) == ("failed", {})
    assert "None of the tasks has an annotation to follow" in job["message"]


def test_a_task_that_is_not_there_is_named(client: httpx.Client, label_studio: ProjectServer) -> None:
    annotate(label_studio, THIRD + 1, brushed(THIRD))
    job = followed(client, tasks=[THIRD + 1, 99])
    assert (job["state"], job["message"]) == (
        "failed",
        f"Project {PROJECT} has no task 99. Leave it out of the list.",
    )


def test_a_project_of_lists_is_told_how_these_are_followed(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    label_studio.api[f"/api/projects/{PROJECT}/"]["label_config"] = CONFIG.replace(
        'value="$image"', 'valueList="$images"'
    )
    answer = client.post("/jobs", json={"kind": "follow", "project": PROJECT})
    assert answer.status_code == 400
    assert "model_track" in answer.json()["detail"]


def test_a_job_that_is_cancelled_stores_nothing_more(
    client: httpx.Client, label_studio: ProjectServer
) -> None:
    annotate(label_studio, THIRD + 1, brushed(THIRD))
    number = client.post("/jobs", json={"kind": "follow", "project": PROJECT}).json()["id"]
    eventually(lambda: bool(stored(label_studio)), seconds=60)
    client.delete(f"/jobs/{number}")
    eventually(lambda: client.get(f"/jobs/{number}").json()["state"] in {"cancelled", "done"}, seconds=60)
    before = len(stored(label_studio))
    assert client.get(f"/jobs/{number}").json()["state"] == "cancelled"
    assert 0 < before < len(OTHERS)
