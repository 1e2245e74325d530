from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "label_studio_ml", reason="needs requirements/label-studio-ml.txt, installed with --no-deps"
)

from label_studio_ml.api import init_app
from label_studio_sam2 import demo
from label_studio_sam2.adapter import Sam2, the_context
from label_studio_sam2.geometry import iou
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, click, data_url, inside, mask_of
from tests.fakes.asking_video import CLIP, mean_iou
from tests.fakes.eventually import eventually

SIZE = Size(480, 640)
DRAWN = draw_scene(3, width=SIZE.width, height=SIZE.height)
TRUTH = max(DRAWN.masks, key=lambda mask: int(mask.sum()))
TASK = {"id": 1, "project": 1, "data": {"image": data_url(DRAWN.image)}}
CONTEXT = {"result": [click(*inside(TRUTH), SIZE)]}
SETUP = {
    "project": "1.1795457783",
    "schema": CONFIG,
    "hostname": "http://label-studio:8080",
    "access_token": "",
}


class Demo(Sam2):
    """With the demo model, whatever the environment says."""

    settings = Settings(model=DEMO, device="cpu")


class Renewed(Demo):
    """As the newer LabelStudioMLBase makes its models: by project, with a place to keep what it knows."""

    def __init__(self, project_id: str, label_config: str) -> None:
        self.known: dict[str, str] = {}
        self.project_id = project_id
        super().__init__(label_config=label_config)
        self.setup()

    def set(self, key: str, value: str) -> None:
        self.known[key] = value


@pytest.fixture(autouse=True, scope="module")
def service() -> Iterator[None]:
    """The process's one service, once it is ready; no other test's process keeps it."""
    model = Demo(label_config=CONFIG)
    eventually(model._is_ready, 120)
    yield
    the_context(Demo.settings).close()
    the_context.cache_clear()


@pytest.fixture
def client(tmp_path: Path) -> Any:
    """Of label-studio-ml's own Flask app, set up as Label Studio does it."""
    client = init_app(Demo, model_dir=str(tmp_path)).test_client()
    assert client.post("/setup", json=SETUP).status_code == 200
    return client


def test_its_flask_app_answers_a_click_with_the_objects_mask(client: Any) -> None:
    answer = client.post("/predict", json=body(TASK["data"]["image"], CONTEXT["result"])).get_json()
    (prediction,) = answer["results"]
    (region,) = prediction["result"]
    assert region["value"]["brushlabels"] == ["Car"]
    assert iou(mask_of(region), TRUTH) > 0.7


def test_its_flask_app_stores_nothing_for_a_task_that_is_opened(client: Any) -> None:
    assert client.post("/predict", json=body(TASK["data"]["image"], None)).get_json()["results"] == [[]]


def test_all_its_models_share_one_service() -> None:
    assert Demo(label_config=CONFIG).context is Demo(label_config=CONFIG, hostname="http://ls").context


def test_the_newer_api_gives_the_context_by_name() -> None:
    model = Renewed("1", CONFIG)
    (prediction,) = model.predict([TASK], context=CONTEXT, login=None, password=None)
    assert iou(mask_of(prediction["result"][0]), TRUTH) > 0.7
    assert model.known["model_version"] == prediction["model_version"]


def test_the_newer_api_gives_an_event_and_its_data_by_place() -> None:
    answer = Renewed("1", CONFIG).fit("START_TRAINING", {"project": {"id": 1}})
    assert answer["action"] == "START_TRAINING"
    assert answer["job"]


def test_an_event_of_the_release_is_waited_for_until_its_job_has_ended(tmp_path: Path) -> None:
    data = {"project": {"id": 1, "label_config": CONFIG}}
    ended = Demo(label_config=CONFIG).process_event("START_TRAINING", data, "1", {"workdir": str(tmp_path)})
    assert ended["kind"] == "fit"
    assert ended["state"] == "failed"
    assert "LABEL_STUDIO_URL" in ended["message"]


def test_the_deprecated_training_call_without_an_event_does_nothing() -> None:
    assert Demo(label_config=CONFIG).fit([], None) == {}


@pytest.mark.slow
def test_its_flask_app_answers_words_on_pictures_and_on_videos(client: Any) -> None:
    """With the demo detector, on the samples; the first words wait until it is loaded."""
    picture = """<View><Image name="image" value="$image"/><TextArea name="w" toName="image"/>
      <BrushLabels name="brush" toName="image" smart="false"><Label value="Ring"/></BrushLabels></View>"""
    video = """<View><Video name="video" value="$video" framerate="12"/><TextArea name="w" toName="video"/>
      <Labels name="l" toName="video"><Label value="Ring"/></Labels>
      <VideoRectangle name="box" toName="video"/></View>"""
    sample = "data:image/jpeg;base64," + base64.b64encode(demo.SAMPLE_IMAGE.read_bytes()).decode()

    def answered(config: str, to_name: str, text: str, data: dict[str, str]) -> list[dict[str, Any]]:
        assert client.post("/setup", json=SETUP | {"schema": config}).status_code == 200
        item = {
            "id": "w",
            "type": "textarea",
            "from_name": "w",
            "to_name": to_name,
            "value": {"text": [text]},
        }
        asked = body("", [item], config) | {"tasks": [{"id": 1, "data": data}]}
        (prediction,) = client.post("/predict", json=asked).get_json()["results"]
        return [region for region in prediction["result"] if region["type"] != "textarea"]

    rings = answered(picture, "image", "ring", {"image": sample})
    assert {region["value"]["brushlabels"][0] for region in rings} == {"Ring"}
    (green,) = answered(video, "video", "green thing", {"video": CLIP})
    assert mean_iou(green, 1) > 0.9
