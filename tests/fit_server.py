"""A Label Studio whose annotators have accepted masks, for `fit` to learn from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from label_studio_sam2.labelstudio import brush_rle
from label_studio_sam2.types import Bitmap, Pixels

from tests.http.asking import CONFIG
from tests.label_studio_server import Project, ProjectServer
from tests.labelstudio.regions import recorded
from tests.labelstudio.servers import Exchange

Region = dict[str, Any]


class FitServer(ProjectServer):
    """With a project whose tasks are annotated; one task can be asked for, as Label Studio answers it."""

    def __init__(self) -> None:
        super().__init__()
        self.projects.append(Project(label_config=CONFIG))
        self.pictures_read = 0

    def annotate(self, pixels: Pixels, masks: Sequence[Bitmap], **annotation: Any) -> dict[str, Any]:
        """Another task with its picture and one annotation that has these masks; the task."""
        tasks = self.projects[0].tasks
        path = f"/data/upload/1/{len(tasks) + 1}.png"
        self.files[path] = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
        result = [brush(mask, f"region{number}") for number, mask in enumerate(masks)]
        task = {
            "id": len(tasks) + 1,
            "data": {"image": path},
            "annotations": [{"id": len(tasks) + 1, "was_cancelled": False, "result": result} | annotation],
            "predictions": [],
        }
        tasks.append(task)
        return task

    def _answer(self, exchange: Exchange) -> None:
        found = re.fullmatch(r"/api/tasks/(\d+)/", urlsplit(exchange.path).path)
        if found and self._known(exchange):
            exchange.json(200, self.projects[0].tasks[int(found[1]) - 1])
        elif not found:
            super()._answer(exchange)


def brush(mask: Bitmap, name: str) -> Region:
    """A brush region as Label Studio saves it."""
    height, width = mask.shape
    return {
        "id": name,
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "origin": "manual",
        "value": {"format": "rle", "rle": brush_rle.encode(mask), "brushlabels": ["Car"]},
    }


def start_training(project: int = 1) -> dict[str, Any]:
    """The event as it was recorded, for this project."""
    body: dict[str, Any] = recorded("start_training_ui")[0]["body"]
    return body | {"project": body["project"] | {"id": project, "label_config": CONFIG}}


def noise(seed: int, width: int = 96, height: int = 64) -> Pixels:
    pixels: Pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return pixels
