"""Masks as regions that the editor shows: for each mask one region, or several, on every output control."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.geometry import pixels_to_percent, tight_box
from label_studio_sam2.labelstudio import bitmask_png, brush_rle
from label_studio_sam2.labelstudio.controls import LABELS, Control, LabelingConfig, Shape
from label_studio_sam2.labelstudio.options import Options
from label_studio_sam2.labelstudio.prompts import RegionPrompt
from label_studio_sam2.labelstudio.protocol import Region
from label_studio_sam2.outlines import Outline, mask_to_ellipse, mask_to_outline
from label_studio_sam2.types import Bitmap, Mask, Size

DECIMALS = 4
"""Of percent: a thousandth of a pixel on a picture of 2000."""


class Drawing(NamedTuple):
    """A region's value without its labels, and a note about it for the editor's Info panel."""

    value: dict[str, Any]
    note: str | None = None


def answering(prompt: RegionPrompt, config: LabelingConfig) -> tuple[Control, ...]:
    """The output controls that a prompt is answered on. Raises LabelConfigError where the config has none."""
    controls = config.outputs(prompt.to_name, prompt.control, prompt.labels)
    if not controls:
        raise LabelConfigError(
            f'No tag can show a mask on "{prompt.to_name}". Add one to the labeling config, for example '
            f'<BrushLabels name="brush" toName="{prompt.to_name}" smart="false">, with the same labels.'
        )
    return controls


def to_regions(masks: Sequence[Mask], prompt: RegionPrompt, config: LabelingConfig) -> list[Region]:
    """The regions that answer one prompt with its masks, best first as they come, on every output control.

    Masks that are empty, or rated below the project's `model_score_threshold`, give none. A part of a mask that the
    control can't draw as one region is a region of its own. Ids depend on the prompt, the control and the number
    alone. With a separate Labels tag each region is two items of one id. Raises LabelConfigError where the config has
    no output control.
    """
    options = config.options(prompt.to_name)
    controls = answering(prompt, config)
    rated = [
        (number, m) for number, m in enumerate(masks) if m.score >= options.score_threshold and m.bitmap.any()
    ]
    answers = (
        _answer(mask, number, control, prompt, config) for number, mask in rated for control in controls
    )
    return list(chain.from_iterable(answers))


def _answer(
    mask: Mask, number: int, control: Control, prompt: RegionPrompt, config: LabelingConfig
) -> Iterable[Region]:
    """One mask on one control; `number` is the mask's place among those of its prompt."""
    drawings = DRAWN[control.tag.shape](mask.bitmap, config.options(prompt.to_name) | control.options)
    for part, drawing in enumerate(drawings):
        region = {
            "id": _region_id(prompt, control, number, part),
            "from_name": control.name,
            "to_name": prompt.to_name,
            "type": control.tag.region_type,
            "original_width": mask.bitmap.shape[1],
            "original_height": mask.bitmap.shape[0],
            "image_rotation": prompt.image_rotation,
            "score": round(mask.score, 4),
            "value": drawing.value,
        }
        if prompt.item_index is not None:
            region["item_index"] = prompt.item_index
        if drawing.note:
            region["meta"] = {"text": [drawing.note]}
        yield from _labelled(region, control, prompt, config)


def _labelled(region: Region, control: Control, prompt: RegionPrompt, config: LabelingConfig) -> list[Region]:
    """The region with its labels: in its value, or, with a separate Labels tag, in a second item."""
    if control.tag.labelled:
        labels = _labels(prompt, config, control.labels)
        return [region | {"value": region["value"] | {control.tag.region_type: labels}}]
    labels_tag = config.labels_tag(prompt.to_name, prompt.labels)
    if labels_tag is None or not (labels := _labels(prompt, config, labels_tag.labels)):
        return [region]
    naming = {"from_name": labels_tag.name, "type": LABELS, "value": region["value"] | {LABELS: labels}}
    return [region, region | naming]


def _labels(prompt: RegionPrompt, config: LabelingConfig, known: tuple[str, ...]) -> list[str]:
    """The prompt's labels, else the one that `model_label` names, else the only one there is."""
    named = config.options(prompt.to_name).label
    return list(prompt.labels or ((named,) if named else known if len(known) == 1 else ()))


def _region_id(prompt: RegionPrompt, control: Control, number: int, part: int) -> str:
    """The same for the same prompt. Coordinates count too, for a moved click keeps its id, and the region that was
    accepted for it may still be there."""
    places = [
        (drawn.ids, *(drawn.value.get(key) for key in ("x", "y", "width", "height", "rotation")))
        for drawn in prompt.drawn
    ]
    seed = repr((places, prompt.to_name, prompt.item_index, prompt.labels, control.name, number, part))
    return hashlib.blake2b(seed.encode(), digest_size=6).hexdigest()


def _brush(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    yield Drawing({"format": "rle", "rle": brush_rle.encode(bitmap)})


def _bitmask(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    """The editor reads the PNG through its alpha."""
    png = base64.b64encode(bitmask_png.encode(bitmap)).decode()
    yield Drawing({"imageDataURL": "data:image/png;base64," + png})


def _polygon(bitmap: Bitmap, options: Options) -> Iterable[Drawing]:
    outline = mask_to_outline(bitmap, options.vertices)
    for points in _percent(outline, bitmap):
        yield Drawing({"points": points, "closed": True}, _cost(outline))


def _vector(bitmap: Bitmap, options: Options) -> Iterable[Drawing]:
    outline = mask_to_outline(bitmap, options.vertices)
    for points in _percent(outline, bitmap):
        yield Drawing({"vertices": [{"x": x, "y": y} for x, y in points], "closed": True}, _cost(outline))


def _percent(outline: Outline, bitmap: Bitmap) -> Iterable[list[list[float]]]:
    for polygon in outline.polygons:
        yield pixels_to_percent(polygon, Size(*bitmap.shape)).round(DECIMALS).tolist()


def _cost(outline: Outline) -> str:
    return f"{outline.vertices} vertices, IoU {outline.iou:.3f} with the mask"


def _rectangle(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    box = tight_box(bitmap)
    if box is not None:
        corners = pixels_to_percent([(box.x0, box.y0), (box.x1, box.y1)], Size(*bitmap.shape))
        (x, y), (width, height) = corners[0].tolist(), (corners[1] - corners[0]).tolist()
        yield Drawing({"x": x, "y": y, "width": width, "height": height, "rotation": 0})


def _ellipse(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    ellipse = mask_to_ellipse(bitmap)
    if ellipse is not None:
        size = Size(*bitmap.shape)
        x, y = pixels_to_percent((ellipse.x, ellipse.y), size).tolist()
        radius_x, radius_y = pixels_to_percent((ellipse.radius_x, ellipse.radius_y), size).tolist()
        yield Drawing(
            {"x": x, "y": y, "radiusX": radius_x, "radiusY": radius_y, "rotation": ellipse.rotation}
        )


DRAWN: Mapping[Shape, Callable[[Bitmap, Options], Iterable[Drawing]]] = {
    "brush": _brush,
    "bitmask": _bitmask,
    "polygon": _polygon,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "vector": _vector,
}
