"""An object of a data set as regions of a project, on the tag that can show most of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.geometry import Points, pixels_to_percent
from label_studio_sam2.imports.data_set import Thing
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.config.controls import LABELS, Control, LabelingConfig, ObjectTag, Shape
from label_studio_sam2.labelstudio.regions.results import DRAWN
from label_studio_sam2.outlines import polygons_to_mask
from label_studio_sam2.types import Bitmap, Box, Size

OF_MASKS: Sequence[Shape] = ("brush", "bitmask", "polygon", "vector", "ellipse", "rectangle")
OF_RINGS: Sequence[Shape] = ("polygon", "vector", "brush", "bitmask", "ellipse", "rectangle")
OF_BOXES: Sequence[Shape] = ("rectangle", "polygon", "vector", "brush", "bitmask", "ellipse")
"""The shapes that show an object, the best first; of those that the labeling config has, the first is taken."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where regions are drawn: a picture of this size, on a tag of the labeling config."""

    config: LabelingConfig
    tag: ObjectTag
    size: Size


def to_regions(thing: Thing, name: str, canvas: Canvas) -> list[Region]:
    """Regions whose ids begin with `name`; a part that the tag shows as a region of its own hangs below the first.

    Raises LabelConfigError where the config has no tag that can show it.
    """
    control = control_for(thing, canvas)
    found: list[Region] = []
    for part, value in enumerate(_values(thing, control, canvas.size), start=1):
        region = _region(thing, value, control, canvas) | {"id": name if part == 1 else f"{name}-{part}"}
        if part > 1:
            region["parentID"] = name
        found += _named(region, thing, control, canvas)
    return found


def control_for(thing: Thing, canvas: Canvas) -> Control:
    """Raises LabelConfigError where there is none."""
    config, tag = canvas.config, canvas.tag
    order = OF_BOXES if thing.boxed else OF_RINGS if thing.rings else OF_MASKS
    able = [
        control for control in config.controls.values() if tag.name in control.to_names and control.tag.output
    ]
    able = [control for control in able if control.tag.shape in order and control.knows((thing.label,))]
    if not able:
        raise LabelConfigError(
            f'No tag of the labeling config can show "{thing.label}" on a picture. Add one, for example with '
            "`label-studio-sam2 connect --template brush`."
        )
    outputs = config.outputs(tag.name, labels=(thing.label,))
    # A box is also what a smart rectangle asks with: such a tag is taken for boxes only, and after all others.
    meant = [control for control in able if control in outputs] or able
    boxes = [control for control in able if thing.boxed and control.tag.shape == "rectangle"]
    return min([*meant, *boxes], key=lambda control: order.index(control.tag.shape))


def _values(thing: Thing, control: Control, size: Size) -> Iterator[dict[str, Any]]:
    shape = control.tag.shape
    if shape == "rectangle" and thing.corners is not None:
        yield _turned(thing.corners, size)
    elif shape == "rectangle" and thing.box is not None:
        yield _turned(_corners(thing.box), size)
    elif shape in {"polygon", "vector"} and thing.mask is None:
        yield from (_outline(ring, shape, size) for ring in _rings(thing))
    else:
        yield from (drawing.value for drawing in DRAWN[shape](_bitmap(thing, size), control.options))


def _rings(thing: Thing) -> Iterable[Points]:
    if thing.rings:
        return thing.rings
    if thing.corners is not None:
        return [thing.corners]
    assert thing.box is not None
    return [_corners(thing.box)]


def _corners(box: Box) -> Points:
    return np.array([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1)])


def _bitmap(thing: Thing, size: Size) -> Bitmap:
    """Of several parts the union: filled together, what two share would count as outside."""
    if thing.mask is not None:
        return thing.mask
    filled: Bitmap = np.logical_or.reduce([polygons_to_mask([ring], size) for ring in _rings(thing)])
    return filled


def _outline(ring: Points, shape: Shape, size: Size) -> dict[str, Any]:
    points = pixels_to_percent(ring, size).tolist()
    if shape == "polygon":
        return {"points": points, "closed": True}
    return {"vertices": [{"x": x, "y": y} for x, y in points], "closed": True}


def _turned(corners: Points, size: Size) -> dict[str, Any]:
    """The editor turns a box clockwise about its first corner."""
    (ax, ay), (bx, by), (cx, cy), _ = corners.tolist()
    if (bx - ax) * (cy - by) < (by - ay) * (cx - bx):
        corners = corners[[0, 3, 2, 1]]
        (ax, ay), (bx, by), (cx, cy), _ = corners.tolist()
    width, height = math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by)
    x, y = pixels_to_percent((ax, ay), size).tolist()
    across, down = pixels_to_percent((width, height), size).tolist()
    rotation = math.degrees(math.atan2(by - ay, bx - ax))
    return {"x": x, "y": y, "width": across, "height": down, "rotation": rotation}


def _region(thing: Thing, value: dict[str, Any], control: Control, canvas: Canvas) -> Region:
    region: Region = {
        "from_name": control.name,
        "to_name": canvas.tag.name,
        "type": control.tag.region_type,
        "original_width": canvas.size.width,
        "original_height": canvas.size.height,
        "image_rotation": 0,
        "value": value,
    }
    if thing.score is not None:
        region["score"] = thing.score
    if thing.crowd:
        region["meta"] = {"text": ["crowd"]}
    return region


def _named(region: Region, thing: Thing, control: Control, canvas: Canvas) -> Iterator[Region]:
    """With its label: in its value, or, with a separate Labels tag, in a second item."""
    if control.tag.labelled:
        yield region | {"value": region["value"] | {control.tag.region_type: [thing.label]}}
        return
    yield region
    names = canvas.config.labels_tag(canvas.tag.name, (thing.label,))
    if names is not None:
        value = region["value"] | {LABELS: [thing.label]}
        yield region | {"from_name": names.name, "type": LABELS, "value": value}
