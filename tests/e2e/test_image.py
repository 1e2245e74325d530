"""What an annotator does on pictures, in the real editor, with the demo model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

from demo_model.sample import deepest
from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import (
    Bitmap,
    Picture,
    bitmask_mask,
    box_mask,
    brush_mask,
    iou,
    painted,
    polygon_mask,
)

GOOD = 0.8
LABELS = ("Thing", "Other")
CLICK_LABELS, BOX_LABELS = 0, 1
"""The rows in which a template's labels stand."""

PLAIN, CROWDED, LEAKY = 18, 8, 10
"""Seeds of scenes: with four and five whole objects, and with one whose first mask takes in some of the ground."""


@dataclass(frozen=True)
class Opened:
    """A project with one picture, whose task is open in the editor."""

    label_studio: LabelStudio
    editor: Editor
    project: int
    task: int

    def saved(self) -> list[dict[str, Any]]:
        """The regions of the submitted annotation that our output control drew, each id once."""
        result = self.label_studio.annotations(self.task)[-1]["result"]
        return [region for region in result if region["from_name"] == "result"]

    def labels(self, region: dict[str, Any]) -> set[str]:
        """Of a saved region, whichever tag holds them."""
        result = self.label_studio.annotations(self.task)[-1]["result"]
        values = [item["value"] for item in result if item["id"] == region["id"]]
        return {
            label
            for value in values
            for key, found in value.items()
            if key.endswith("labels")
            for label in found
        }


OpenTask = Callable[..., Opened]


@pytest.fixture
def open_task(label_studio: LabelStudio, backend: Backend, editor: Editor) -> OpenTask:
    """Makes a project from a template's name or a whole config, uploads one file, opens its task."""

    def opened(config: str, file: str, content: bytes) -> Opened:
        label_config = TEMPLATES[config].with_labels(LABELS) if config in TEMPLATES else config
        project = label_studio.create_project(config[:40], label_config)
        (task,) = label_studio.upload(project, **{file: content})
        label_studio.connect(project, backend.url)
        editor.open(project, task)
        return Opened(label_studio, editor, project, task)

    return opened


def test_a_click_shows_a_mask_that_is_accepted_submitted_and_saved_right(
    open_task: OpenTask, screenshots: Path
) -> None:
    picture = Picture.draw(PLAIN)
    subject = picture.subjects[0]
    opened = open_task("brush", "scene_png", picture.png())
    before = opened.editor.picture()
    opened.editor.label("Thing", CLICK_LABELS)
    opened.editor.smart_tool("key-point-tool")

    opened.editor.click(subject.inside)

    assert painted(before, opened.editor.picture(), subject.mask) > GOOD
    opened.editor.screenshot(screenshots / "click.png")
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert region["value"]["brushlabels"] == ["Thing"]
    assert iou(brush_mask(region), subject.mask) >= GOOD


def test_an_alt_click_takes_what_it_hits_out_of_the_mask(open_task: OpenTask) -> None:
    picture = Picture.draw(LEAKY)
    subject = picture.subjects[0]
    opened = open_task("brush", "scene_png", picture.png())
    opened.editor.label("Thing", CLICK_LABELS)
    opened.editor.smart_tool("key-point-tool")
    (first,) = opened.editor.click(subject.inside)
    too_much = brush_mask(first) & ~subject.mask
    x, y = unwanted = deepest(too_much)

    (second,) = opened.editor.click(unwanted, alt=True)

    assert too_much[y, x]
    assert not brush_mask(second)[y, x]
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert np.array_equal(brush_mask(region), brush_mask(second))
    assert iou(brush_mask(region), subject.mask) >= GOOD


def test_a_box_around_an_object_becomes_its_mask(open_task: OpenTask, screenshots: Path) -> None:
    picture = Picture.draw(PLAIN)
    subject = picture.subjects[1]
    opened = open_task("brush", "scene_png", picture.png())
    opened.editor.label("Thing", BOX_LABELS)
    opened.editor.smart_tool("rectangle-tool")

    opened.editor.drag(*subject.corners)

    opened.editor.screenshot(screenshots / "box.png")
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert iou(brush_mask(region), subject.mask) >= GOOD


def test_a_box_of_three_points_becomes_the_mask_of_the_tilted_object(open_task: OpenTask) -> None:
    picture = Picture.draw(CROWDED)
    subject = picture.subjects[1]
    opened = open_task("brush", "scene_png", picture.png())
    opened.editor.label("Thing", BOX_LABELS)
    opened.editor.smart_tool("rectangle-3-point-tool")

    opened.editor.click_through(*subject.tilted_corners)

    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert iou(brush_mask(region), subject.mask) >= GOOD


@pytest.mark.parametrize(
    ("template", "mask_of"), [("bitmask", bitmask_mask), ("polygon", polygon_mask), ("boxes", box_mask)]
)
def test_a_click_is_answered_in_the_shape_that_the_config_asks_for(
    open_task: OpenTask, template: str, mask_of: Callable[[dict[str, Any]], Bitmap]
) -> None:
    picture = Picture.draw(PLAIN)
    subject = picture.subjects[0]
    opened = open_task(template, "scene_png", picture.png())
    before = opened.editor.picture()
    opened.editor.label("Other", CLICK_LABELS)
    opened.editor.smart_tool("key-point-tool")

    opened.editor.click(subject.inside)

    truth = subject.box if template == "boxes" else subject.mask
    assert painted(before, opened.editor.picture(), truth) > GOOD
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert opened.labels(region) == {"Other"}
    assert iou(mask_of(region), truth) >= GOOD


def test_separate_label_and_tool_tags_give_a_labelled_mask(open_task: OpenTask) -> None:
    picture = Picture.draw(PLAIN)
    subject = picture.subjects[0]
    opened = open_task(SEPARATED, "scene_png", picture.png())
    opened.editor.label("Other")
    opened.editor.smart_tool("key-point-tool")

    opened.editor.click(subject.inside)

    assert opened.editor.suggested_labels() == [["Other"]]
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert iou(brush_mask(region), subject.mask) >= GOOD
    assert opened.labels(region) == {"Other"}


def test_a_phone_photo_that_lies_on_its_side_gets_its_mask_where_it_is_seen(open_task: OpenTask) -> None:
    picture = Picture.draw(PLAIN)
    subject = picture.subjects[0]
    opened = open_task("brush", "photo_jpg", picture.phone_photo())
    before = opened.editor.picture()
    opened.editor.label("Thing", CLICK_LABELS)
    opened.editor.smart_tool("key-point-tool")

    opened.editor.click(subject.inside)

    assert painted(before, opened.editor.picture(), subject.mask) > GOOD
    opened.editor.accept()
    opened.editor.submit()
    (region,) = opened.saved()
    assert iou(brush_mask(region), subject.mask) >= GOOD


def test_the_second_picture_of_a_task_gets_its_own_mask(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    first, second = Picture.draw(CROWDED), Picture.draw(PLAIN, 720, 400)
    project = label_studio.create_project("several pictures", SEVERAL)
    addresses = [label_studio.upload_only(project, "page.png", picture.png()) for picture in (first, second)]
    (task,) = label_studio.add_tasks(project, {"images": addresses})
    label_studio.connect(project, backend.url)
    editor.open(project, task)
    editor.next_picture()
    before = editor.picture()
    editor.label("Thing", CLICK_LABELS)
    editor.smart_tool("key-point-tool")
    subject = second.subjects[0]

    editor.click(subject.inside)

    assert painted(before, editor.picture(), subject.mask) > GOOD
    editor.accept()
    editor.submit()
    (region,) = Opened(label_studio, editor, project, task).saved()
    assert region["item_index"] == 1
    assert iou(brush_mask(region), subject.mask) >= GOOD


SEVERAL = """<View>
  <Image name="image" valueList="$images"/>
  <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">
    <Label value="Thing" background="#1f77ff"/>
  </KeyPointLabels>
  <BrushLabels name="result" toName="image" smart="false"><Label value="Thing" background="#1f77ff"/></BrushLabels>
</View>"""

SEPARATED = """<View>
  <Labels name="label" toName="image"><Label value="Thing"/><Label value="Other"/></Labels>
  <Image name="image" value="$image"/>
  <KeyPoint name="click" toName="image" smart="true" smartOnly="true"/>
  <Rectangle name="box" toName="image" smart="true" smartOnly="true"/>
  <Brush name="result" toName="image" smart="false"/>
</View>"""
