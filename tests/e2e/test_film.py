"""A list of pictures that is followed, in the real editor, with the demo model."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from label_studio_sam2.types import Pixels

from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import Bitmap, brush_mask, iou
from tests.fakes.asking import inside
from tests.fakes.asking_list import COUNT, GONE, frames, true_mask

CONFIG = """<View>
  <Image name="image" valueList="$images"/>
  <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">
    <Label value="Thing" background="#1f77ff"/>
  </KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true" smartOnly="true">
    <Label value="Thing" background="#1f77ff"/>
  </RectangleLabels>
  <BrushLabels name="result" toName="image" smart="false" model_track="true">
    <Label value="Thing" background="#1f77ff"/>
  </BrushLabels>
</View>"""

THIRD, EIGHTH = 2, 7


def test_one_click_masks_a_list_and_a_correction_changes_only_what_follows(
    label_studio: LabelStudio, backend: Backend, editor: Editor
) -> None:
    project = label_studio.create_project("a list that is followed", CONFIG)
    addresses = [label_studio.upload_only(project, "slice.png", png(frame)) for frame in frames()]
    (task,) = label_studio.add_tasks(project, {"images": addresses})
    label_studio.connect(project, backend.url)
    editor.open(project, task)
    for _ in range(THIRD):
        editor.next_picture()
    editor.label("Thing")
    editor.smart_tool("key-point-tool")

    first = masks(editor.click(inside(true_mask(THIRD))))
    assert sorted(first) == [place for place in range(COUNT) if place not in GONE]
    assert len(editor.suggested_labels()) == len(first)
    for _ in range(EIGHTH - THIRD):
        editor.next_picture()
    # The editor sends the first click again, beside the new one.
    corrected = masks(editor.click(inside(true_mask(EIGHTH))))

    assert all(np.array_equal(corrected[place], first[place]) for place in first if place < EIGHTH)
    assert not all(np.array_equal(corrected[place], first[place]) for place in first if place >= EIGHTH)
    editor.accept()
    editor.submit()
    ((annotation,),) = [one["annotations"] for one in label_studio.export(project)]
    saved = masks([region for region in annotation["result"] if region["from_name"] == "result"])
    assert saved.keys() == corrected.keys()
    assert all(np.array_equal(saved[place], corrected[place]) for place in saved)
    assert np.mean([iou(mask, true_mask(place)) for place, mask in saved.items()]) > 0.9


def png(pixels: Pixels) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def masks(regions: list[dict[str, Any]]) -> dict[int, Bitmap]:
    return {region["item_index"]: brush_mask(region) for region in regions}
