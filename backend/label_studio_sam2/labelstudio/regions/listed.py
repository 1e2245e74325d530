"""Objects on the pictures of a list: which prompts mean the same one, and its masks as regions of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from label_studio_sam2.errors import RequestError
from label_studio_sam2.geometry import hull, pixels_to_percent, tight_box
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.regions import results
from label_studio_sam2.labelstudio.regions.drawn import Drawn
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt, bounds
from label_studio_sam2.labelstudio.regions.tracks import Tracked
from label_studio_sam2.labelstudio.regions.values import mask_from_value
from label_studio_sam2.types import Box, Mask


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object of a list by its prompts, each on another picture, in the order in which they were drawn. The first
    asks for it, the others correct where it is."""

    prompts: tuple[RegionPrompt, ...]

    @property
    def id(self) -> str:
        """That of its first region, or where it stands."""
        first = self.prompts[0]
        return first.ids[0] if first.ids else f"{first.on.name} {place(first)} {_centre(first)}"

    def regions(self, asked: int, at: int, tracked: Tracked, iou: float, note: str) -> list[Region]:
        """Its mask on the picture `at`, which follows from the prompt on the picture `asked`."""
        prompt = next(one for one in self.prompts if place(one) == asked)
        rotation = prompt.image_rotation if asked == at else 0
        here = replace(prompt, item_index=at, image_rotation=rotation)
        assert tracked.counts is not None
        return results.to_regions([Mask(coco_rle.decode(tracked.counts, tracked.size), iou)], here, note)


def place(prompt: RegionPrompt) -> int:
    """The picture of the list that it was drawn on."""
    return prompt.item_index or 0


def objects(prompts: Sequence[RegionPrompt]) -> list[ListedObject]:
    """The objects that prompts on the pictures of lists mean, in the order they were begun.

    Those of one label on one picture are objects of their own; one on another picture corrects that of them which lies
    nearest and has no prompt there yet. What has none to correct begins an object, unless it only says what isn't
    meant.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[list[RegionPrompt]]] = {}
    for prompt in prompts:
        begun = groups.setdefault((prompt.on.name, prompt.labels), [])
        free = [one for one in begun if place(prompt) not in map(place, one)]
        if free:
            min(free, key=lambda one: _distance(one, prompt)).append(prompt)
        elif prompt.asks:
            begun.append([prompt])
    return [ListedObject(tuple(one)) for one in chain.from_iterable(groups.values())]


def _distance(begun: Sequence[RegionPrompt], prompt: RegionPrompt) -> float:
    """From where the object was prompted on the nearest picture, in percent."""
    nearest = min(begun, key=lambda one: abs(place(one) - place(prompt)))
    return float(np.hypot(*np.subtract(_centre(nearest), _centre(prompt))))


def _centre(prompt: RegionPrompt) -> tuple[float, float]:
    if prompt.area is not None:
        box = _extent(prompt.area)
        return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
    clicks = [one for one in prompt.clicks if one.positive] or prompt.clicks
    across, down = np.mean([(one.value["x"], one.value["y"]) for one in clicks], axis=0).tolist()
    return across, down


def _extent(area: Drawn) -> Box:
    """As `bounds`, but of a mask that of its pixels, where it says how large its picture is and can be read."""
    if area.shape == "rectangle" or area.declared is None:
        return bounds(area)
    try:
        bitmap = mask_from_value(area.value, area.declared)
    except RequestError:
        return bounds(area)
    box = None if bitmap is None else tight_box(bitmap)
    return bounds(area) if box is None else hull(pixels_to_percent([box[:2], box[2:]], area.declared))
