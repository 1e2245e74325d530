"""What Label Studio's own exports make of what is answered under a labeling config.

Measured on Label Studio 1.23.2 (its converter is label-studio-sdk 2.1.2), template by template, in
tests/e2e/test_exports.py. An accepted region takes on every label that is selected: where prompts or a Labels tag have
labels besides the output tag's own, it is saved once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from label_studio_sam2.labelstudio.config.controls import Control, LabelingConfig

PNG, NUMPY, BRUSH_TO_COCO = "Brush labels to PNG", "Brush labels to NumPy", "Brush labels to COCO"
COCO, YOLO, YOLO_OBB, VOC = "COCO", "YOLO", "YOLOv8 OBB", "Pascal VOC"

EXPORTS: Mapping[str, Sequence[str]] = {
    "BrushLabels": (PNG, NUMPY, BRUSH_TO_COCO),
    "Brush": (PNG, NUMPY),
    "PolygonLabels": (COCO, YOLO, YOLO_OBB),
    "RectangleLabels": (COCO, YOLO, YOLO_OBB, VOC),
    "Rectangle": (COCO, YOLO, YOLO_OBB, VOC),
}
"""What Label Studio can write of a tag's regions, by the titles in its Export dialog."""


class Leaving(NamedTuple):
    """The titles of Label Studio's exports that hold each object once, with its label; and where others don't although
    it offers them, why, and what to do."""

    right: tuple[str, ...]
    surprises: tuple[tuple[str, str], ...]


def leaving(config: LabelingConfig, to_name: str) -> Leaving:
    """Of what is answered on an Image tag."""
    right: dict[str, None] = {}
    surprises = []
    for output in config.outputs(to_name):
        around = Around(output, config.prompts(to_name), config.labels_tag(to_name) is not None)
        met = next((one for one in SURPRISES if output.tag.name in one.tags and one.when(around)), None)
        exports = EXPORTS.get(output.tag.name, ()) if met is None else met.still
        right |= dict.fromkeys(exports)
        if met is not None:
            surprises.append((met.why.format(f'{output.tag.name} "{output.name}"'), met.remedy))
    return Leaving(tuple(right), tuple(surprises))


class Around(NamedTuple):
    """An output tag and what stands beside it: `named` is whether a Labels tag does."""

    output: Control
    prompts: Sequence[Control]
    named: bool


def _key_points(around: Around) -> bool:
    return any(prompt.tag.name == "KeyPointLabels" for prompt in around.prompts)


def _twice(around: Around) -> bool:
    named = around.named and around.output.tag.labelled
    return named or any(prompt.tag.labelled for prompt in around.prompts)


class Surprise(NamedTuple):
    """Exports that Label Studio offers and that go wrong; `still` are those that don't."""

    tags: tuple[str, ...]
    when: Callable[[Around], bool]
    why: str
    remedy: str
    still: tuple[str, ...] = ()


INSTEAD = "Use `label-studio-sam2 export`, or `label-studio-sam2 connect --template"

SURPRISES = (
    Surprise(
        ("BrushLabels",),
        lambda around: around.named,
        "Label Studio's exports to PNG and NumPy write each object of {} twice.",
        "Take the Labels tag out, or use `label-studio-sam2 export`.",
        still=(BRUSH_TO_COCO,),
    ),
    Surprise(
        ("PolygonLabels", "Polygon", "RectangleLabels", "Rectangle"),
        _key_points,
        "Label Studio's exports to COCO, YOLO and Pascal VOC fail, or leave {} out: KeyPointLabels turn them to key "
        "points.",
        f"{INSTEAD} polygon` or `boxes`.",
    ),
    Surprise(
        ("Polygon",),
        lambda _: True,
        "Label Studio's exports to COCO and YOLO leave {} out: they want PolygonLabels.",
        f"{INSTEAD} polygon`.",
    ),
    Surprise(
        ("RectangleLabels", "Rectangle"),
        _twice,
        "Label Studio's exports write each object of {} twice.",
        f"{INSTEAD} boxes`.",
    ),
)
