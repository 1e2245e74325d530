"""Any annotation of the recorded traffic, and of random shapes, leaves in every format with each object once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from label_studio_sam2.exports.format import OF_PICTURES, Format
from label_studio_sam2.exports.report import Lack
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.regions.values import SHAPES, mask_from_value
from label_studio_sam2.types import Bitmap, Size

from tests.fakes import readers
from tests.fakes.annotated import (
    SIZE,
    Json,
    again,
    annotation,
    bitmask,
    brush,
    click,
    ellipse,
    polygon,
    rectangle,
    save,
    task,
    vector,
)
from tests.fakes.exporting import exported
from tests.fakes.readers import Pictures
from tests.fakes.regions import SIZE as RECORDED
from tests.fakes.regions import TRAFFIC

LEAST = {Format.COCO: 1.0, Format.PNG: 1.0, Format.COCO_POLYGONS: 0.5, Format.YOLO: 0.6}
"""IoU of each object with its pixels, down to objects of a few pixels."""


def read(form: Format, out: Path, size: Size) -> Pictures | None:
    """What the format's reader finds; None for pictures of numbers, which are for looking at."""
    if form in {Format.COCO, Format.COCO_POLYGONS}:
        return readers.coco(out / "annotations.json")
    if form in {Format.YOLO, Format.YOLO_BOX, Format.YOLO_OBB}:
        return {f"{name}.png": found for name, found in readers.yolo(out, size).items()}
    if form is Format.VOC:
        return readers.voc(out)
    if form is Format.PNG:
        return readers.each_png(out)
    return None


def recorded() -> Mapping[str, list[Json]]:
    """Every list of regions in the recorded traffic, wherever it stands, by its file and number."""
    found: dict[str, list[Json]] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, list) and any(isinstance(one, dict) and "from_name" in one for one in value):
            found[f"{name}-{len(found)}"] = value
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner, name)

    for path in sorted(TRAFFIC.glob("*.json")):
        walk(json.loads(path.read_text()), path.stem)
    return found


def ids(regions: list[Json]) -> set[str]:
    """Those of regions that draw an object on a picture."""
    draws = {shape for shape in SHAPES.values() if shape not in {"keypoint", "videorectangle"}}
    shapes = (
        (one.get("id"), next((SHAPES[key] for key in SHAPES if key in one["value"]), None)) for one in regions
    )
    return {str(id_) for id_, shape in shapes if shape in draws}


@pytest.mark.parametrize("name", sorted(recorded()))
def test_recorded_annotations_leave_in_every_format_with_each_object_once(name: str, tmp_path: Path) -> None:
    regions = recorded()[name]
    media = save(tmp_path / "media", size=RECORDED)
    # The box that was answered beside the brush shows the same object.
    objects = len(ids(regions)) - ("brush_plus_rect" in name)
    for form in sorted(OF_PICTURES):
        out, report = exported(
            tmp_path,
            form,
            task(annotation(*regions)),
            config=None,
            media=media if form is Format.OVERLAY else None,
        )
        assert report.masks == objects
        found = read(form, out, RECORDED) if report.pictures else None
        assert found is None or sum(map(len, found.values())) == objects
        assert not report.lacks.keys() & {Lack.UNREADABLE, Lack.EMPTY}


numbers = st.integers(0, 79)
labels = st.sampled_from(["Car", "Van", "Lkw/π"])


@st.composite
def bitmaps(draw: st.DrawFn) -> Bitmap:
    """A few blocks set and cut out again: parts, holes, single pixels; never empty."""
    bitmap = np.zeros(SIZE, np.bool_)
    for _ in range(draw(st.integers(1, 4))):
        left, top = draw(st.integers(0, 78)), draw(st.integers(0, 58))
        wide, high = draw(st.integers(1, 40)), draw(st.integers(1, 40))
        bitmap[top : top + high, left : left + wide] = draw(st.booleans())
    bitmap[draw(st.integers(0, 59)), draw(st.integers(0, 79))] = True
    return bitmap


@st.composite
def shapes(draw: st.DrawFn) -> Json:
    label = draw(labels)
    x, y = draw(st.floats(0, 70)), draw(st.floats(0, 50))
    wide, high = draw(st.floats(1.5, 60)), draw(st.floats(1.5, 60))
    kind = draw(st.sampled_from(["brush", "bitmask", "polygon", "vector", "rectangle", "ellipse"]))
    if kind in {"brush", "bitmask"}:
        return (brush if kind == "brush" else bitmask)(draw(bitmaps()), label)
    if kind in {"polygon", "vector"}:
        corner = st.tuples(st.floats(-5, 85), st.floats(-5, 65))
        return (polygon if kind == "polygon" else vector)(
            draw(st.lists(corner, min_size=3, max_size=8)), label
        )
    if kind == "rectangle":
        return rectangle((x, y, x + wide, y + high), label, rotation=draw(st.floats(-180, 180)))
    return ellipse(x, y, (wide / 2, high / 2), label)


@st.composite
def annotations(draw: st.DrawFn) -> list[Json]:
    """Shapes of the editor, some saved twice, with clicks among them; one control a shape, so that none is a double."""
    found = [click(draw(numbers), draw(st.integers(0, 59)), id="k", positive=draw(st.booleans()))]
    for place, drawn in enumerate(draw(st.lists(shapes(), max_size=4))):
        one = drawn | {"id": f"r{place}", "from_name": "drawn"}
        found += [one, again(one)] if draw(st.booleans()) else [one]
    return found


def truth(regions: list[Json]) -> dict[str, tuple[str, Bitmap]]:
    """By id, the label and the pixels of what covers any."""
    found = {}
    for one in regions:
        bitmap = mask_from_value(one["value"], SIZE)
        if bitmap is not None and bitmap.any() and one["id"] not in found:
            found[one["id"]] = (one["value"][one["type"]][0], bitmap)
    return found


@given(annotations())
@settings(max_examples=12, phases=(Phase.explicit, Phase.generate))
def test_random_shapes_leave_in_every_format_with_each_object_once(regions: list[Json]) -> None:
    expected = truth(regions)
    with TemporaryDirectory() as folder:
        media = save(Path(folder) / "media")
        for form in sorted(OF_PICTURES):
            out, report = exported(Path(folder), form, task(annotation(*regions)), media=media)
            assert (report.masks, report.pictures) == (len(expected), 1)
            found = read(form, out, SIZE)
            if found is None:
                continue
            seen = found["street.png"]
            assert [one.label for one in seen] == [label for label, _ in expected.values()]
            for one, (_, bitmap) in zip(seen, expected.values(), strict=True):
                assert form not in LEAST or one.bitmap is not None
                assert form not in LEAST or iou(np.asarray(one.bitmap), bitmap) >= LEAST[form]
