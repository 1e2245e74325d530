"""Boxes of a data set become masks by the running service."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
from label_studio_sam2.cli import app
from label_studio_sam2.errors import NotReady
from label_studio_sam2.geometry import iou, tight_box
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size
from pydantic import SecretStr
from typer.testing import CliRunner

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, mask_of
from tests.fakes.importing_server import ImportingServer
from tests.fakes.project_server import PROJECT
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings

SIZE = Size(240, 320)
SCENE = draw_scene(3, width=SIZE.width, height=SIZE.height)
OBJECT = max(SCENE.masks, key=lambda mask: mask.sum()).astype(bool)


def data_set(folder: Path) -> Path:
    """One box around one object, and none known of the other picture."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), cv2.cvtColor(SCENE.image, cv2.COLOR_RGB2BGR))
    box = tight_box(OBJECT)
    assert box is not None
    row = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0],
        "segmentation": [],
    }
    images = [
        {"id": number, "file_name": name, "height": SIZE.height, "width": SIZE.width}
        for number, name in enumerate(("a.png", "b.png"), start=1)
    ]
    whole = {"images": images, "annotations": [row], "categories": [{"id": 1, "name": "Car"}]}
    path = folder / "instances.json"
    path.write_text(json.dumps(whole))
    return path


def arguments(path: Path, service: str) -> list[str]:
    return ["import", str(path), "--project", str(PROJECT), "--masks", "--service", service]


def test_boxes_become_masks_by_the_running_service_once(tmp_path: Path) -> None:
    path = data_set(tmp_path)
    with serving(ImportingServer(CONFIG)) as site:
        env = {"LABEL_STUDIO_URL": site.url, "LABEL_STUDIO_API_KEY": LEGACY, "COLUMNS": "200"}
        given = {"label_studio_url": site.url, "label_studio_api_key": SecretStr(LEGACY)}
        with running(settings(**given)) as service:
            for _ in range(2):
                result = CliRunner(env=env).invoke(app, arguments(path, service))
                assert result.exit_code == 0
        (prediction,) = site.predictions(1)
        (region,) = prediction["result"]
        assert region["type"] == "brushlabels"
        assert region["value"]["brushlabels"] == ["Car"]
        assert iou(mask_of(region), OBJECT) > 0.7
        assert prediction["model_version"].startswith("demo")
        assert site.predictions(2) == []


def test_where_no_service_answers_it_is_said_before_anything_is_stored(tmp_path: Path) -> None:
    with serving(ImportingServer(CONFIG)) as site:
        env = {"LABEL_STUDIO_URL": site.url, "LABEL_STUDIO_API_KEY": LEGACY}
        result = CliRunner(env=env).invoke(app, arguments(data_set(tmp_path), "http://127.0.0.1:9"))
        assert isinstance(result.exception, NotReady)
        assert site.predictions(1) == []
