"""Masks as regions that the editor shows: for each mask one region, or several, on every output control."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from label_studio_sam2.geometry import pixels_to_percent, tight_box
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.codecs import bitmask_png, brush_rle
from label_studio_sam2.labelstudio.config.controls import LABELS, Control, Shape
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.regions import doubts
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.outlines import mask_to_ellipse, mask_to_outline
from label_studio_sam2.types import Bitmap, Mask, Size

DECIMALS = 4
"""Of percent: a thousandth of a pixel on a picture of 2000."""


class Drawing(NamedTuple):
    """A region's value without its labels, and notes about it for the editor's Info panel."""

    value: dict[str, Any]
    notes: tuple[str, ...] = ()


def to_regions(masks: Sequence[Mask], prompt: RegionPrompt, note: str = "") -> list[Region]:
    """The regions that answer one prompt with its masks, best first as they come, on every output control.

    Masks that are empty, or rated below the project's `model_score_threshold`, give none. A part of a mask that the
    control can't draw as one region is a region of its own. Ids depend on the prompt, the control and the number
    alone. With a separate Labels tag each region is two items of one id. `note`: about the picture, for the editor's
    Info panel.
    """
    least = prompt.options.score_threshold
    rated = [(number, m) for number, m in enumerate(masks) if m.score >= least and m.bitmap.any()]
    return list(chain.from_iterable(_drawn(mask, number, prompt, note) for number, mask in rated))


def _drawn(mask: Mask, number: int, prompt: RegionPrompt, note: str) -> Iterable[Region]:
    """One mask on every control, drawn once for all that draw alike; `number` is its place among its prompt's."""
    drawings: dict[tuple[Shape, int], list[Drawing]] = {}
    for control in prompt.outputs:
        options = prompt.options | control.options
        alike = control.tag.shape, options.vertices
        if alike not in drawings:
            drawn = DRAWN[control.tag.shape](mask.bitmap, options)
            said = tuple(filter(None, (doubts.of_mask(mask), note)))
            drawings[alike] = [one._replace(notes=(*one.notes, *said)) for one in drawn]
        yield from _on_control(drawings[alike], mask, number, control, prompt)


def _on_control(
    drawings: Sequence[Drawing], mask: Mask, number: int, control: Control, prompt: RegionPrompt
) -> Iterable[Region]:
    for part, drawing in enumerate(drawings):
        region = {
            "id": _region_id(prompt, control, number, part),
            "from_name": control.name,
            "to_name": prompt.on.name,
            "type": control.tag.region_type,
            "original_width": mask.bitmap.shape[1],
            "original_height": mask.bitmap.shape[0],
            "image_rotation": prompt.image_rotation,
            "score": round(mask.score, 4),
            "value": drawing.value,
        }
        if prompt.item_index is not None:
            region["item_index"] = prompt.item_index
        if drawing.notes:
            region["meta"] = {"text": list(drawing.notes)}
        yield from _labelled(region, control, prompt)


def _labelled(region: Region, control: Control, prompt: RegionPrompt) -> list[Region]:
    """The region with its labels: in its value, or, with a separate Labels tag, in a second item."""
    if control.tag.labelled:
        labels = _labels(prompt, control.labels)
        return [region | {"value": region["value"] | {control.tag.region_type: labels}}]
    labels_tag = prompt.labels_tag
    if labels_tag is None or not (labels := _labels(prompt, labels_tag.labels)):
        return [region]
    naming = {"from_name": labels_tag.name, "type": LABELS, "value": region["value"] | {LABELS: labels}}
    return [region, region | naming]


def _labels(prompt: RegionPrompt, known: tuple[str, ...]) -> list[str]:
    """The prompt's labels, else the one that `model_label` names, else the only one there is."""
    named = prompt.options.label
    return list(prompt.labels or ((named,) if named else known if len(known) == 1 else ()))


def _region_id(prompt: RegionPrompt, control: Control, number: int, part: int) -> str:
    """The same for the same prompt. Coordinates count too, for a moved click keeps its id, and the region that was
    accepted for it may still be there."""
    places = [
        (drawn.ids, *(drawn.value.get(key) for key in ("x", "y", "width", "height", "rotation")))
        for drawn in prompt.drawn
    ]
    seed = repr((places, prompt.on.name, prompt.item_index, prompt.labels, control.name, number, part))
    return hashlib.blake2b(seed.encode(), digest_size=6).hexdigest()


def _brush(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    yield Drawing({"format": "rle", "rle": brush_rle.encode(bitmap)})


def _bitmask(bitmap: Bitmap, _options: Options) -> Iterable[Drawing]:
    """The editor reads the PNG through its alpha."""
    png = base64.b64encode(bitmask_png.encode(bitmap)).decode()
    yield Drawing({"imageDataURL": "data:image/png;base64," + png})


def _polygon(bitmap: Bitmap, options: Options) -> Iterable[Drawing]:
    for points, note in _rings(bitmap, options):
        yield Drawing({"points": points, "closed": True}, (note,))


def _vector(bitmap: Bitmap, options: Options) -> Iterable[Drawing]:
    for points, note in _rings(bitmap, options):
        yield Drawing({"vertices": [{"x": x, "y": y} for x, y in points], "closed": True}, (note,))


def _rings(bitmap: Bitmap, options: Options) -> Iterable[tuple[list[list[float]], str]]:
    """Closed outlines in percent, and what they cost."""
    outline = mask_to_outline(bitmap, options.vertices)
    note = f"{outline.vertices} vertices, IoU {outline.iou:.3f} with the mask"
    for polygon in outline.polygons:
        yield pixels_to_percent(polygon, Size(*bitmap.shape)).round(DECIMALS).tolist(), note


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
