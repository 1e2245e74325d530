"""From an empty Label Studio to a mask, with either kind of key, and what is said when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.e2e.pictures import Picture, Subject, brush_mask, iou

GOOD = 0.8
PICTURE = Picture.draw(18)
SUBJECT: Subject = PICTURE.subjects[0]


@pytest.fixture
def start_backend(label_studio: LabelStudio, tmp_path: Path) -> Iterator[Callable[[str], Backend]]:
    """Starts a service with another key; it is stopped at the test's end."""
    started: list[Backend] = []

    def start(key: str) -> Backend:
        settings = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": key}
        started.append(Backend(tmp_path / "backend", settings))
        started[-1].start()
        return started[-1]

    yield start
    for backend in started:
        backend.stop()


def prepared(label_studio: LabelStudio, backend: Backend, editor: Editor) -> int:
    """A project with one picture, open in the editor with the smart point chosen: its number."""
    project = label_studio.create_project("prepared", TEMPLATES["brush"].with_labels())
    (task,) = label_studio.upload(project, scene_png=PICTURE.png())
    label_studio.connect(project, backend.url)
    ready(editor, project, task)
    return project


def ready(editor: Editor, project: int, task: int) -> None:
    editor.open(project, task)
    editor.label("Object", 0)
    editor.smart_tool("key-point-tool")


def checks(backend: Backend, project: int) -> list[dict[str, Any]]:
    """What `doctor --json` says of a project, less what is fine."""
    said = backend.run("doctor", "--json", "--project", str(project))
    return [check for check in json.loads(said.stdout) if check["state"] != "ok"]


def test_connect_makes_a_project_in_which_one_click_gives_a_mask(
    label_studio: LabelStudio, backend: Backend, editor: Editor, tmp_path: Path
) -> None:
    (tmp_path / "one scene.png").write_bytes(PICTURE.png())
    command = ("connect", "--create", "From nothing", "--import", str(tmp_path), "--backend", backend.url)

    made = backend.run(*command)

    assert made.returncode == 0, made.stderr
    address = made.stdout.strip().splitlines()[-1]
    project = int(address.split("/")[-2])
    (task,) = label_studio.tasks(project)
    ready(editor, project, task["id"])
    (region,) = editor.click(SUBJECT.inside)
    assert iou(brush_mask(region), SUBJECT.mask) >= GOOD
    again = backend.run(*command)
    assert "Nothing had to be changed." in again.stdout
    assert len(label_studio.tasks(project)) == len(label_studio.backends(project)) == 1
    assert checks(backend, project) == []


def test_a_personal_access_token_is_enough_where_legacy_tokens_are_switched_off(
    label_studio: LabelStudio, backend: Backend, editor: Editor, start_backend: Callable[[str], Backend]
) -> None:
    with_token = start_backend(label_studio.personal_access_token())
    project = prepared(label_studio, with_token, editor)
    label_studio.allow_legacy_tokens(False)
    try:
        (region,) = editor.click(SUBJECT.inside)
        assert iou(brush_mask(region), SUBJECT.mask) >= GOOD
        assert checks(with_token, project) == []
        (found,) = checks(backend, project)
        assert "legacy tokens switched off" in found["sentence"]
    finally:
        label_studio.allow_legacy_tokens(True)


def test_a_wrong_key_shows_the_annotator_nothing_but_tells_the_admin_what_to_set(
    label_studio: LabelStudio, editor: Editor, start_backend: Callable[[str], Backend]
) -> None:
    backend = start_backend("f" * len(LEGACY_TOKEN))
    project = prepared(label_studio, backend, editor)
    before = editor.picture()

    assert "502" in editor.click_in_vain(SUBJECT.inside)[0]

    assert len(editor.regions()) == 1  # the click itself
    assert iou(abs(before.astype(int) - editor.picture()).max(axis=2) > 20, SUBJECT.mask) < GOOD
    trouble = httpx.get(backend.url, trust_env=False).json()["problems"][str(project)]
    assert "LABEL_STUDIO_API_KEY" in trouble["detail"]
    (found,) = checks(backend, project)
    assert found["name"] == "key"
    assert "LABEL_STUDIO_API_KEY" in found["sentence"]


def test_clicks_work_again_once_a_stopped_service_is_started(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    prepared(label_studio, backend, editor)
    editor.click(SUBJECT.inside)
    other = PICTURE.subjects[1].inside
    backend.stop()
    try:
        assert editor.click_in_vain(other)
    finally:
        backend.start()

    assert editor.click((other[0] + 8, other[1]))


def test_opening_a_task_stores_no_prediction(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    project = prepared(label_studio, backend, editor)
    (task,) = label_studio.tasks(project)
    assert task["predictions"] == []
