"""Each template, labelled in the real editor, in each of Label Studio's own exports: as docs/exports.md says.

Every cell there that says "right" must hold each object once, with its label, where the editor showed it; whatever else
a cell says must be so too, so that the table can't be too modest either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.types import Size

from tests.e2e import exported
from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.exported import Failed, Objects
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import Bitmap, bitmask_mask, box_mask, brush_mask, iou
from tests.fakes import readers

PAGE = Path("docs/exports.md")
GOOD, SAME = 0.8, 0.98
SIZE = Size(960, 1280)
LABELS = ("Car", "Van")

RING, GREEN, *_ = demo.sample_prompts()
"""The first has a hole. They get the labels in this order."""

COLUMNS = {
    "COCO": "COCO",
    "YOLO": "YOLO",
    "YOLO OBB": "YOLO_OBB",
    "Pascal VOC": "VOC",
    "Brush to PNG": "BRUSH_TO_PNG",
    "Brush to NumPy": "BRUSH_TO_NUMPY",
    "Brush to COCO": "BRUSH_TO_COCO",
}


def table() -> Mapping[str, Mapping[str, str]]:
    """For each template of the page's table what it says of each of Label Studio's exports."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    start = next(place for place, row in enumerate(cells) if row[0] == "`--template`")
    head, found = cells[start], {}
    for row in cells[start + 2 :]:
        names = re.findall(r"`(\w+)`", row[0])
        if not names or len(row) != len(head):
            break
        found |= {name: dict(zip(head[1:], row[1:], strict=True)) for name in names}
    return found


@pytest.fixture(scope="module")
def said() -> Mapping[str, Mapping[str, str]]:
    return table()


def test_the_table_has_every_template_for_pictures_and_every_export(
    said: Mapping[str, Mapping[str, str]],
) -> None:
    pictures = {name for name, template in TEMPLATES.items() if "<Image " in template.config}
    assert set(said) == pictures
    assert all(list(row) == list(COLUMNS) for row in said.values())


@pytest.mark.parametrize(
    ("keep_label", "auto_accept"),
    [(True, False), (False, False), (True, True)],
    ids=["label kept", "label not kept", "accepted by itself"],
)
@pytest.mark.parametrize("template", ["brush", "bitmask", "polygon", "boxes", "words"])
def test_what_is_labelled_leaves_label_studio_as_the_table_says(
    template: str,
    keep_label: bool,
    auto_accept: bool,
    label_studio: LabelStudio,
    backend: Backend,
    editor: Editor,
    tmp_path: Path,
    said: Mapping[str, Mapping[str, str]],
) -> None:
    config = TEMPLATES[template].with_labels(LABELS)
    project = label_studio.create_project(template, config)
    (task,) = label_studio.upload(project, scene_jpg=demo.SAMPLE_IMAGE.read_bytes())
    label_studio.connect(project, backend.url)
    editor.open(project, task, keep_label=keep_label, auto_accept=auto_accept)

    label(editor, template, auto_accept)
    editor.submit()

    shown = saved(label_studio, task)
    truth = demo.sample_masks()
    for name, prompt in zip(LABELS, (RING, GREEN), strict=True):
        assert iou(shown[name], _as_shown(truth[prompt.object], template)) >= GOOD
    offered = exported.offered(label_studio, project)
    for title, kind in COLUMNS.items():
        is_so = (
            outcome(label_studio, project, kind, shown, tmp_path / kind) if kind in offered else "not offered"
        )
        assert is_so in said[template][title].split(" or "), (title, is_so)


@pytest.mark.parametrize("template", ["video", "video-words"])
def test_of_videos_label_studio_offers_no_export_that_holds_objects(
    template: str, label_studio: LabelStudio
) -> None:
    project = label_studio.create_project(template, TEMPLATES[template].with_labels(LABELS))
    assert exported.offered(label_studio, project).isdisjoint(COLUMNS.values())


def label(editor: Editor, template: str, auto_accept: bool) -> None:
    """The ring by a click or by words, the green thing by a box or by words."""
    if template == "words":
        found = editor.ask("Car: blue ring, Van: green rectangle")
        assert [region["type"] for region in found] == ["brushlabels", "brushlabels", "textarea"]
        if not auto_accept:
            editor.accept()
        return
    own_labels = template == "brush"
    editor.label("Car")
    editor.smart_tool("key-point-tool")
    editor.click(RING.click)
    if not auto_accept:
        editor.accept()
    editor.label("Van", int(own_labels))
    editor.smart_tool("rectangle-tool")
    left, top, right, bottom = GREEN.box
    editor.drag((left, top), (right, bottom))
    if not auto_accept:
        editor.accept()


def saved(label_studio: LabelStudio, task: int) -> Mapping[str, Bitmap]:
    """The submitted objects by their labels, as the editor showed them: each once."""
    (annotation,) = label_studio.annotations(task)
    regions: dict[str, dict[str, Any]] = {}
    labels: dict[str, set[str]] = {}
    for item in annotation["result"]:
        if item["type"] == "textarea":
            continue
        if item["from_name"] == "result":
            assert item["id"] not in regions
            regions[item["id"]] = item
        own = [names for key, names in item["value"].items() if key.endswith("labels")]
        labels.setdefault(item["id"], set()).update(*own)
    assert set(labels) == set(regions), "a prompt was saved as a region of its own"
    assert sorted(name for names in labels.values() for name in names) == sorted(LABELS)
    return {next(iter(labels[id_])): _drawn(region) for id_, region in regions.items()}


def _drawn(region: dict[str, Any]) -> Bitmap:
    value = region["value"]
    if "points" in value:
        return readers.filled(np.array(value["points"]) / 100 * SIZE[::-1], SIZE)
    return SHAPES[region["type"].removesuffix("labels")](region)


SHAPES = {"brush": brush_mask, "bitmask": bitmask_mask, "rectangle": box_mask}


def outcome(
    label_studio: LabelStudio, project: int, kind: str, shown: Mapping[str, Bitmap], folder: Path
) -> str:
    """In the words of the table."""
    try:
        found = exported.read(label_studio, project, kind, SIZE, folder)
    except Failed:
        return "fails"
    if not found:
        return "empty"
    if kind == "YOLO_OBB":
        return "right" if _is(found, shown, _boxed) else "wrong"
    if _is(found, shown):
        return "right"
    return "holes filled" if _is(found, {name: _filled(mask) for name, mask in shown.items()}) else "wrong"


def _same(found: Bitmap, shown: Bitmap) -> bool:
    return iou(found, shown) >= SAME


def _is(found: Objects, shown: Mapping[str, Bitmap], alike: Callable[[Bitmap, Bitmap], bool] = _same) -> bool:
    once = all(len(masks) == 1 for masks in found.values())
    return once and set(found) == set(shown) and all(alike(found[name][0], shown[name]) for name in shown)


def _filled(mask: Bitmap) -> Bitmap:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(canvas, outlines, -1, 1, cv2.FILLED)
    return canvas > 0


def _boxed(found: Bitmap, shown: Bitmap) -> bool:
    """Whether a turned box holds the object and is as small as can be: what is about round has several such."""
    points = np.argwhere(shown)[:, ::-1].astype(np.float32) + 0.5
    corners = cv2.boxPoints(cv2.minAreaRect(points)).astype(np.float64)
    smallest = readers.filled(corners, SIZE)
    return bool((found & shown).sum() >= SAME * shown.sum() and SAME * found.sum() <= smallest.sum())


def _as_shown(mask: Bitmap, template: str) -> Bitmap:
    if template != "boxes":
        return mask
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.zeros_like(mask)
    box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return box
