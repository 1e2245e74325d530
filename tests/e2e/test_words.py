"""Words in the real editor: typed on a picture, for a whole project, and on the next task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from label_studio_sam2 import demo
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

from tests.e2e import data_manager
from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import brush_mask, iou
from tests.fakes import readers
from tests.fakes.eventually import eventually

GOOD = 0.8
PATIENCE_SECONDS = 120
RING, RECTANGLE, *_ = demo.sample_prompts()
LABELS = ("Ring", "Box")
WORDS = "blue ring, green rectangle"
CONFIG = (
    TEMPLATES["words"]
    .with_labels(LABELS)
    .replace(' value="Ring"', ' value="Ring" predicted_values="blue ring"')
    .replace(' value="Box"', ' value="Box" predicted_values="green rectangle"')
)
FIELD = "() => [...document.querySelectorAll('[data-testid=textarea-control]')].map(field => field.innerText).join()"


def test_words_become_labelled_suggestions_that_are_accepted_submitted_and_exported(
    label_studio: LabelStudio, backend: Backend, editor: Editor, screenshots: Path, tmp_path: Path
) -> None:
    project = label_studio.create_project("words", CONFIG)
    (task,) = label_studio.upload(project, scene_jpg=demo.SAMPLE_IMAGE.read_bytes())
    label_studio.connect(project, backend.url)
    editor.open(project, task)

    found = editor.ask(WORDS)

    assert [region["type"] for region in found] == ["brushlabels", "brushlabels", "textarea"]
    assert all(region["score"] > 0.3 for region in found[:2])
    assert sorted(editor.suggested_labels()) == [["Box"], ["Ring"]]
    editor.screenshot(screenshots / "words.png")
    editor.accept()
    again = editor.ask("Box: red star")
    assert [region["id"] for region in again[:2]] == [region["id"] for region in found[:2]]
    editor.accept()
    editor.submit()
    regions = [item for item in label_studio.annotations(task)[0]["result"] if item["from_name"] == "result"]
    assert len({region["id"] for region in regions}) == len(regions) == 3
    assert [region["value"].get("brushlabels") for region in regions] == [["Ring"], ["Box"], ["Box"]]
    truth = demo.sample_masks()
    for region, thing in zip(regions, (RING, RECTANGLE), strict=False):
        assert iou(brush_mask(region), truth[thing.object]) >= GOOD

    (tmp_path / "export.json").write_text(json.dumps(label_studio.export(project)))
    (tmp_path / "config.xml").write_text(CONFIG)
    done = backend.run(
        *("export", str(tmp_path / "export.json"), str(tmp_path / "out"), "--format", "coco"),
        *("--label-config", str(tmp_path / "config.xml")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (objects,) = readers.coco(tmp_path / "out" / "annotations.json").values()
    assert [one.label for one in objects[:2]] == ["Ring", "Box"]
    for one, region in zip(objects, regions, strict=False):
        assert iou(np.asarray(one.bitmap), brush_mask(region)) == 1.0


def test_a_project_is_labelled_with_its_labels_as_words_and_its_tasks_open_with_them(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    project = label_studio.create_project(
        "find", CONFIG.replace('name="result"', 'name="result" model_find="true"')
    )
    sample = demo.SAMPLE_IMAGE.read_bytes()
    tasks = label_studio.upload(project, first_jpg=sample, second_jpg=sample)
    label_studio.connect(project, backend.url)

    data_manager.retrieve_predictions(editor, project)

    eventually(lambda: all(task["predictions"] for task in label_studio.tasks(project)), PATIENCE_SECONDS)
    truth = demo.sample_masks()
    for task in label_studio.tasks(project):
        result = task["predictions"][0]["result"]
        for label, thing in zip(LABELS, (RING, RECTANGLE), strict=True):
            masks = [brush_mask(region) for region in result if region["value"].get("brushlabels") == [label]]
            assert max(iou(mask, truth[thing.object]) for mask in masks) >= GOOD
    editor.open(project, tasks[1])
    editor.page.wait_for_function(f"() => ({FIELD})().includes('Ring')")
