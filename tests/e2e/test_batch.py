"""Many tasks at once, by "Retrieve Predictions" in the menu of the Data Manager."""

from __future__ import annotations

from typing import Any

from tests.e2e import data_manager
from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import Picture, brush_mask, iou
from tests.fakes.eventually import eventually

GOOD = 0.8
PATIENCE_SECONDS = 120

EVERYTHING = """<View>
  <Image name="image" value="$image"/>
  <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true"><Label value="Thing"/></KeyPointLabels>
  <BrushLabels name="result" toName="image" smart="false" model_everything="true"><Label value="Thing"/></BrushLabels>
</View>"""


def test_retrieving_predictions_finds_the_objects_of_every_task(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    pictures = [Picture.draw(8), Picture.draw(18)]
    project = label_studio.create_project("everything", EVERYTHING)
    tasks = label_studio.upload(project, first_png=pictures[0].png(), second_png=pictures[1].png())
    label_studio.connect(project, backend.url)

    data_manager.retrieve_predictions(editor, project)

    eventually(lambda: all(task["predictions"] for task in label_studio.tasks(project)), PATIENCE_SECONDS)
    for task, picture in zip(label_studio.tasks(project), pictures, strict=True):
        assert _found(task, picture) >= len(picture.subjects) - 1
    editor.open(project, tasks[0])
    editor.page.wait_for_function("() => Htx.annotationStore.predictions[0]?.regions.length > 0")


def _found(task: dict[str, Any], picture: Picture) -> int:
    """How many of the picture's objects one of the stored prediction's masks shows right."""
    regions = task["predictions"][-1]["result"]
    masks = [brush_mask(region) for region in regions if region["type"] == "brushlabels"]
    return sum(
        max((iou(mask, subject.mask) for mask in masks), default=0.0) >= GOOD for subject in picture.subjects
    )
