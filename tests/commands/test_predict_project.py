from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from label_studio_sam2.commands import predict
from label_studio_sam2.geometry import iou
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, box, data_url, mask_of
from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings

SIZE = Size(120, 160)
SCENE = draw_scene(201, width=SIZE.width, height=SIZE.height)
OBJECT = SCENE.masks[0]


@pytest.fixture
def label_studio() -> Iterator[ProjectServer]:
    """Thirty tasks with a detector's box each, every tenth broken."""
    ys, xs = np.nonzero(OBJECT)
    boxes = [box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1, SIZE)]
    with serving(ProjectServer(CONFIG)) as site:
        address = data_url(SCENE.image)
        site.add(*("file:///no" if number % 10 == 3 else address for number in range(30)))
        for task in site.tasks.values():
            task["predictions"] = [{"id": 1, "model_version": "yolo", "result": boxes}]
        yield site


@pytest.fixture
def address(label_studio: ProjectServer) -> Iterator[str]:
    given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
    with running(settings(**given)) as address:
        yield address


def stored(label_studio: ProjectServer, version: str) -> list[int]:
    """How many predictions of this version each task has."""
    return [
        sum(one["model_version"] == version for one in task["predictions"])
        for task in label_studio.tasks.values()
    ]


@pytest.mark.slow
def test_every_task_gets_one_prediction_however_often_it_is_run(
    label_studio: ProjectServer, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [0 if number % 10 == 3 else 1 for number in range(30)]
    assert predict.run(Settings(), PROJECT, address, everything=False) == 1
    assert "27 stored" in capsys.readouterr().out
    assert stored(label_studio, demo_model().version) == expected
    (region,) = label_studio.predictions(1)[-1]["result"]
    assert iou(mask_of(region), OBJECT) > 0.7
    predict.run(Settings(), PROJECT, address, everything=False)
    assert stored(label_studio, demo_model().version) == expected
    assert "stored" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_is_cancelled_is_taken_up_where_it_ended(
    label_studio: ProjectServer, address: str
) -> None:
    reply = label_studio.reply_with
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as http:
        job = ""

        def cancelling(exchange: object) -> object:
            if job and sum(stored(label_studio, demo_model().version)) >= 5:
                http.delete(f"/jobs/{job}")
            return reply(exchange)  # type: ignore[arg-type]

        label_studio.reply_with = cancelling
        job = http.post("/jobs", json={"kind": "predict", "project": PROJECT}).json()["id"]
        eventually(lambda: http.get(f"/jobs/{job}").json()["finished"] is not None, 60)
        assert http.get(f"/jobs/{job}").json()["state"] == "cancelled"
    assert 5 <= sum(stored(label_studio, demo_model().version)) < 27
    label_studio.reply_with = reply
    predict.run(Settings(), PROJECT, address, everything=False)
    assert stored(label_studio, demo_model().version) == [
        0 if number % 10 == 3 else 1 for number in range(30)
    ]


@pytest.mark.slow
def test_a_tuned_models_predictions_do_not_stand_for_its_bases(
    label_studio: ProjectServer, address: str
) -> None:
    version = demo_model().version
    for number in (1, 2):
        label_studio.predictions(number).append(
            {"id": 2, "model_version": version + "+project7.v1", "result": []}
        )
    predict.run(Settings(), PROJECT, address, everything=False)
    assert stored(label_studio, version)[:2] == [1, 1]


@pytest.mark.parametrize(
    "asked", [{"kind": "dance", "project": 1}, {"kind": "warm"}, {"kind": "warm", "project": 0}]
)
def test_a_job_that_there_isnt_is_refused(asked: dict[str, object], address: str) -> None:
    assert httpx.post(address + "/jobs", json=asked, trust_env=False).status_code == 422
