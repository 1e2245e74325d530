"""What annotators accepted teaches the model: from the editor, by Start Training, to the next click."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import pytest
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from PIL import Image

from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.e2e.pictures import brush_mask, iou
from tests.fakes.asking import inside
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import brush
from tests.fakes.ring_project import RingPicture, ring_picture

BY_HAND, OTHERS, NEW = 0, range(1, 40), range(1000, 1004)
PATIENCE_SECONDS = 900
CLICK_LABELS = 0
"""The row of the labels that clicks give."""


@pytest.fixture
def backend(label_studio: LabelStudio, tmp_path: Path) -> Iterator[Backend]:
    """One of its own, so that no other test's project is tuned."""
    settings = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    running = Backend(tmp_path, settings | {"MODEL_CACHE": str(tmp_path / "models")})
    running.start()
    yield running
    running.stop()


def test_start_training_teaches_the_next_click_what_annotators_accepted(
    label_studio: LabelStudio, backend: Backend, editor: Editor, screenshots: Path
) -> None:
    project = label_studio.create_project("rings", TEMPLATES["brush"].with_labels())
    tasks = upload(label_studio, project, *NEW, *NEW, BY_HAND, *OTHERS)
    new, again, (by_hand, *others) = tasks[: len(NEW)], tasks[len(NEW) : 2 * len(NEW)], tasks[2 * len(NEW) :]
    label_studio.connect(project, backend.url)
    for task, seed in zip(others, OTHERS, strict=True):
        label_studio.annotate(task, [accepted(ring_picture(seed))])
    clicked(editor, project, by_hand, BY_HAND)
    editor.accept()
    editor.submit()

    before = [clicked(editor, project, *task) for task in zip(new, NEW, strict=True)]
    base = editor.answered_by
    editor.start_training(project, screenshots)
    job = finished(backend)

    assert job["result"]["used"], job["result"]
    assert job["result"]["counts"]["annotations"] == 1 + len(OTHERS)
    after = [clicked(editor, project, *task) for task in zip(again, NEW, strict=True)]
    assert editor.answered_by == f"{base}+{job['result']['version']}"
    assert fmean(after) > fmean(before) + 0.05


def upload(label_studio: LabelStudio, project: int, *seeds: int) -> list[int]:
    """A task for each ring, in this order."""
    names = (f"ring{number:02}_png" for number in range(len(seeds)))
    return label_studio.upload(
        project, **{name: png(ring_picture(seed)) for name, seed in zip(names, seeds, strict=True)}
    )


def png(picture: RingPicture) -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture.pixels).save(content, "PNG")
    return content.getvalue()


def accepted(picture: RingPicture) -> dict[str, Any]:
    """What this project's annotators accept, as the template's output control holds it."""
    region = brush(picture.accepted, "ring")
    return region | {"from_name": "result", "value": region["value"] | {"brushlabels": ["Object"]}}


def clicked(editor: Editor, project: int, task: int, seed: int) -> float:
    """Opens the task and clicks the ring once: the IoU of what is suggested with what this project accepts."""
    picture = ring_picture(seed)
    editor.open(project, task)
    editor.label("Object", CLICK_LABELS)
    editor.smart_tool("key-point-tool")
    (region,) = editor.click(inside(picture.ring))
    return iou(brush_mask(region), picture.accepted)


def finished(backend: Backend) -> dict[str, Any]:
    """The only tuning job of the service, once it has ended."""

    def jobs() -> list[dict[str, Any]]:
        found = httpx.get(backend.url + "/jobs", timeout=60, trust_env=False).json()["jobs"]
        return [job for job in found if job["kind"] == "fit"]

    eventually(lambda: all(job["finished"] for job in jobs()), PATIENCE_SECONDS)
    (job,) = jobs()
    return job
