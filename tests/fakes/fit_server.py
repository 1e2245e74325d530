"""A Label Studio whose annotators have accepted masks, for `fit` to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.types import Bitmap, Pixels

from tests.fakes.asking import CONFIG
from tests.fakes.label_studio_server import Project, ProjectServer
from tests.fakes.project_server import passes, submitted
from tests.fakes.regions import recorded
from tests.fakes.servers import Exchange

Region = dict[str, Any]


class FitServer(ProjectServer):
    """With projects whose tasks are annotated. Tasks are asked for in lists only: asked for one by itself, Label Studio
    would ask its backends for a prediction."""

    def __init__(self) -> None:
        super().__init__()
        self._open = Event()
        self._open.set()
        self._asked = Event()

    def make(self, label_config: str = CONFIG) -> int:
        """Another project, which is connected to the service; its number."""
        number = len(self.projects) + 1
        backend = {"id": 1, "title": "by hand", "url": "", "is_interactive": True, "project": number}
        self.projects.append(Project(label_config=label_config, backends=[backend]))
        return number

    @contextmanager
    def silent(self) -> Iterator[Event]:
        """Answers nothing while the block runs; the event tells that somebody waits for an answer."""
        self._asked.clear()
        self._open.clear()
        try:
            yield self._asked
        finally:
            self._open.set()

    def annotate(
        self, project: int, pixels: Pixels, masks: Sequence[Bitmap], **annotation: Any
    ) -> dict[str, Any]:
        """Another task with its picture and one annotation that has these masks; the task."""
        regions = [brush(mask, f"region{number}") for number, mask in enumerate(masks)]
        return self.add(project, "image", png(pixels), {"result": regions} | annotation)

    def add(self, project: int, key: str, content: bytes, *annotations: dict[str, Any]) -> dict[str, Any]:
        """Another task, its file and its annotations; the task."""
        number = 1 + sum(len(one.tasks) for one in self.projects)
        path = f"/data/upload/{project}/{number}"
        self.files[path] = content
        task = {
            "id": number,
            "data": {key: path},
            "annotations": [{"id": number, "was_cancelled": False} | one for one in annotations],
            "predictions": [],
        }
        self.projects[project - 1].tasks.append(task)
        return task

    def _shown(self, number: int) -> dict[str, Any]:
        total = sum(map(submitted, self.projects[number - 1].tasks))
        return super()._shown(number) | {"total_annotations_number": total}

    def _answer(self, exchange: Exchange) -> None:
        self._asked.set()
        self._open.wait()
        if (exchange.command, urlsplit(exchange.path).path) == ("GET", "/api/tasks/"):
            if self._known(exchange):
                self._list(exchange)
        else:
            super()._answer(exchange)

    def _list(self, exchange: Exchange) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(exchange.path).query).items()}
        conditions = json.loads(query["query"])["filters"]["items"]
        tasks = self.projects[int(query["project"]) - 1].tasks
        found = [task for task in tasks if all(passes(task, one) for one in conditions)]
        page = found[: int(query["page_size"])]
        if query.get("fields") != "all":
            page = [{"id": task["id"], "data": task["data"]} for task in page]
        exchange.json(200, {"total": len(found), "tasks": page})


def png(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def brush(mask: Bitmap, name: str, label: str = "Car") -> Region:
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
        "value": {"format": "rle", "rle": brush_rle.encode(mask), "brushlabels": [label]},
    }


def start_training(project: int) -> dict[str, Any]:
    """The event as it was recorded, for this project."""
    body: dict[str, Any] = recorded("start_training_ui")[0]["body"]
    return body | {"project": body["project"] | {"id": project, "label_config": CONFIG}}


def annotation_created(project: int, *, every: int, annotations: int) -> dict[str, Any]:
    """The event of a project that wants to be tuned every so many annotations, and has so many."""
    config = CONFIG.replace('smart="false"', f'smart="false" model_fit_every="{every}"')
    event = start_training(project) | {"action": "ANNOTATION_CREATED"}
    event["project"] |= {"label_config": config, "total_annotations_number": annotations}
    return event


def noise(seed: int, width: int = 96, height: int = 64) -> Pixels:
    pixels: Pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return pixels
