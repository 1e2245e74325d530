"""Ten words on two hundred drawn pictures, with the demo detector, by a service that is killed on the way."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, regions_of
from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving
from tests.fakes.service_process import serving as service
from tests.prelabels.test_batch_memory import peak_kib

PICTURES, DRAWN = 200, 20
"""So many tasks, of so many drawings; what follows a JPEG isn't shown, but makes it another picture."""

SIZE = Size(480, 640)
WORDS = "red thing, orange thing, yellow thing, green thing, blue thing, star, ring, hexagon, cross, bar"
LABELS = '<Label value="Thing"/>'
ASKING = f"""<View><Image name="image" value="$image"/><TextArea name="prompt" toName="image"/>
  <BrushLabels name="brush" toName="image" smart="false">{LABELS}</BrushLabels></View>"""

EARLY, KILLED_AT = 40, 100


def pictures() -> list[bytes]:
    drawn = [
        cv2.imencode(".jpg", draw_scene(seed, width=SIZE.width, height=SIZE.height).image)[1].tobytes()
        for seed in range(DRAWN)
    ]
    return [drawn[number % DRAWN] + bytes([number]) for number in range(PICTURES)]


def addressed(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


def stored(label_studio: ProjectServer) -> list[int]:
    """How many predictions each task has."""
    return [len(task["predictions"]) for task in label_studio.tasks.values()]


@pytest.mark.slow
def test_ten_words_on_two_hundred_pictures_take_no_more_memory_let_clicks_pass_and_are_stored_once_each(
    tmp_path: Path,
) -> None:
    given = pictures()
    with serving(ProjectServer(ASKING)) as label_studio:
        label_studio.add(*map(addressed, given))
        settings = {
            "TMPDIR": str(tmp_path),
            "MEMORY_CACHE_MB": "64",
            "LABEL_STUDIO_URL": label_studio.url,
            "LABEL_STUDIO_API_KEY": LEGACY,
            "LOG_LEVEL": "warning",
        }
        asked: dict[str, Any] = {"kind": "predict", "project": PROJECT, "words": WORDS}
        with (
            service(**settings) as (address, process),
            httpx.Client(base_url=address, timeout=100, trust_env=False) as client,
        ):
            job = client.post("/jobs", json=asked).json()["id"]
            eventually(lambda: sum(stored(label_studio)) >= EARLY, 300)
            early = peak_kib(process.pid)
            answer = client.post("/predict", json=body(addressed(given[0]), [click(320, 240, SIZE)]))
            assert [region["type"] for region in regions_of(answer)] == ["brushlabels"]
            assert client.get(f"/jobs/{job}").json()["state"] == "running"
            eventually(lambda: sum(stored(label_studio)) >= KILLED_AT, 300)
            late = peak_kib(process.pid)
        assert KILLED_AT <= sum(stored(label_studio)) < PICTURES
        assert late - early < 64 << 10
        with (
            service(**settings) as (address, _),
            httpx.Client(base_url=address, timeout=100, trust_env=False) as client,
        ):
            job = client.post("/jobs", json=asked).json()["id"]
            eventually(lambda: client.get(f"/jobs/{job}").json()["finished"] is not None, 300)
            assert client.get(f"/jobs/{job}").json()["state"] == "done"
        assert stored(label_studio) == [1] * PICTURES
        found = [label_studio.predictions(number)[0] for number in label_studio.tasks]
    assert all(one["model_version"] == demo_model().version for one in found)
    masks = [region for one in found for region in one["result"] if region["type"] == "brushlabels"]
    assert len(masks) > PICTURES
    assert {tuple(region["value"]["brushlabels"]) for region in masks} == {("Thing",)}
