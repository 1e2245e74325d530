"""A list of twelve pictures, every fourth frame of the sample clip, and what is asked of it and answered."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import httpx
import numpy as np
from label_studio_sam2 import demo
from label_studio_sam2.geometry import iou
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap, Pixels, Size

from tests.fakes import asking
from tests.fakes.asking import Region, body, data_url, inside, mask_of, regions_of

CONFIG = asking.CONFIG.replace('value="$image"', 'valueList="$images"').replace(
    'name="brush"', 'name="brush" model_track="true"'
)
COUNT = 12
STEP = 4
SMALL, SMALL_SIZE = 8, Size(300, 400)
"""The picture that is smaller than the others."""


@cache
def frames() -> tuple[Pixels, ...]:
    """All of one size."""
    whole = Video.open(demo.SAMPLE_CLIP)
    return tuple(whole.frames(range(len(whole))))[::STEP]


@cache
def picture(place: int) -> Pixels:
    pixels = frames()[place]
    return cv2.resize(pixels, SMALL_SIZE[::-1], interpolation=cv2.INTER_AREA) if place == SMALL else pixels


@cache
def addresses() -> tuple[str, ...]:
    return tuple(data_url(picture(place)) for place in range(COUNT))


def true_mask(place: int, thing: int = 0) -> Bitmap:
    """Of an object on a frame of the full size."""
    mask: Bitmap = demo.sample_clip_masks()[STEP * place, thing]
    return mask


@cache
def truth(place: int, thing: int = 0) -> Bitmap:
    mask = true_mask(place, thing)
    if place != SMALL:
        return mask
    return np.asarray(cv2.resize(mask.astype(np.uint8), SMALL_SIZE[::-1]) > 0)


GONE = [place for place in range(COUNT) if not true_mask(place).any()]


def click(place: int, thing: int = 0, *, at: tuple[float, float] | None = None, **more: Any) -> Region:
    """A smart keypoint deep inside of an object on one picture of the list."""
    x, y = at or inside(truth(place, thing))
    drawn = asking.click(x, y, Size(*truth(place, thing).shape), **more)
    return drawn | {"item_index": place}


def box(place: int, thing: int = 0) -> Region:
    """The true box of an object on one picture of the list."""
    ys, xs = np.nonzero(truth(place, thing))
    corners = float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)
    return asking.box(*corners, Size(*truth(place, thing).shape)) | {"item_index": place}


def request(
    *regions: Region, images: Any = None, config: str = CONFIG, task: int = 1, **more: Any
) -> dict[str, Any]:
    given = list(addresses()) if images is None else images
    return body("", list(regions), config) | {"tasks": [{"id": task, "data": {"images": given}}]} | more


def ask(client: httpx.Client, *regions: Region, **more: Any) -> list[Region]:
    return regions_of(client.post("/predict", json=request(*regions, **more)))


def masks(answered: list[Region]) -> dict[int, Bitmap]:
    """By picture."""
    return {region["item_index"]: mask_of(region) for region in answered}


def mean_iou(found: dict[int, Bitmap], thing: int = 0) -> float:
    """J over the pictures on which the object is visible."""
    visible = [place for place in range(COUNT) if truth(place, thing).any()]
    nothing = {place: np.zeros_like(truth(place, thing)) for place in visible}
    return float(np.mean([iou(found.get(place, nothing[place]), truth(place, thing)) for place in visible]))
