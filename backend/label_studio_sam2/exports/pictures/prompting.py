"""Which regions only asked for a mask."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.exports.pictures.doubles import Drawn
from label_studio_sam2.geometry import box_iou, clipped, hull, percent_to_pixels
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions.depicted import Depicted
from label_studio_sam2.labelstudio.regions.values import number, rectangle_corners
from label_studio_sam2.types import Size

INSIDE, BOX_ALIKE = 0.8, 0.5
"""How much of its mask a box holds that asked for it, and the IoU of the two boxes, at least."""

FOUND_NEAR = 0.3
"""IoU of a box and its mask's, from which it counts as answered."""

BESIDE = 3
"""Pixels that a click may lie beside the mask it got."""


class Kind(Enum):
    """What a region is. EITHER: a box whose tag may be used for both; its masks tell."""

    PROMPT = auto()
    OBJECT = auto()
    EITHER = auto()


def kind_of(region: Depicted, regions: Sequence[Depicted], config: LabelingConfig | None) -> Kind:
    """By the labeling config, where there is one that has its tag, else by what else the annotation holds."""
    if region.shape == "keypoint":
        return Kind.PROMPT
    if region.shape != "rectangle":
        return Kind.OBJECT
    known = [config.controls[name] for name in region.controls if name in config.controls] if config else []
    if config is None or not known:
        finer = any(one.detail > region.detail for one in regions)
        return Kind.EITHER if finer else Kind.OBJECT
    outputs = config.outputs(config.object(region.to_name).name)
    if any(control in outputs for control in known):
        return Kind.OBJECT
    return Kind.PROMPT if any(control.smart for control in known) else Kind.EITHER


def prompted(box: Drawn, masks: Sequence[Drawn]) -> bool:
    """Whether one of the masks is what came of a box."""
    near = [
        one for one in masks if one.named_as(box.region) and box_iou(one.mask.box, box.mask.box) >= BOX_ALIKE
    ]
    if not near:
        return False
    inside = box.mask.bitmap()
    return any(np.count_nonzero(one.mask.bitmap() & inside) >= INSIDE * one.mask.area for one in near)


def unanswered(prompt: Depicted, objects: Sequence[Drawn], size: Size) -> bool:
    """Whether a click or a box has no mask: its suggestion was never accepted, or is lost."""
    named = [one for one in objects if one.named_as(prompt)]
    try:
        if prompt.shape == "keypoint":
            return prompt.positive and not any(_hit(prompt, one, size) for one in named)
        box = clipped(hull(rectangle_corners(prompt.value, size)), size)
    except PromptError:
        return False
    return box is not None and not any(box_iou(one.mask.box, box) >= FOUND_NEAR for one in named)


def _hit(click: Depicted, one: Drawn, size: Size) -> bool:
    x, y = percent_to_pixels((number(click.value, "x"), number(click.value, "y")), size).tolist()
    left, top, right, bottom = one.mask.box
    if not (left - BESIDE <= x <= right + BESIDE and top - BESIDE <= y <= bottom + BESIDE):
        return False
    row, column = int(min(max(y, 0), size.height)), int(min(max(x, 0), size.width))
    around = (slice(max(0, at - BESIDE), at + BESIDE + 1) for at in (row, column))
    return bool(one.mask.bitmap()[tuple(around)].any())
