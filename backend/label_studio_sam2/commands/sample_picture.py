"""The sample picture: clicks and boxes on it over HTTP, as Label Studio sends them, and the masks drawn."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np

from label_studio_sam2 import demo
from label_studio_sam2.commands.asking import ask
from label_studio_sam2.demo import SamplePrompt
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio import brush_rle
from label_studio_sam2.types import Bitmap, Pixels, Size

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image" smart="false"><Label value="Object"/></BrushLabels>
  <KeyPointLabels name="click" toName="image" smart="true"><Label value="Object"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Object"/></RectangleLabels>
</View>"""


class Shot(NamedTuple):
    """One request's answer: what was asked for, its mask, its IoU with the truth and how long it took."""

    prompt: SamplePrompt
    kind: str
    mask: Bitmap
    iou: float
    seconds: float


def click(client: httpx.Client) -> list[Shot]:
    """Each kind of prompt on each prompted object of the sample picture."""
    picture = "data:image/jpeg;base64," + base64.b64encode(demo.SAMPLE_IMAGE.read_bytes()).decode()
    truth = demo.sample_masks()
    size = Size(*truth.shape[1:])
    shots = []
    for kind, regions_of in PROMPTS.items():
        for prompt in demo.sample_prompts():
            started = perf_counter()
            (region, *_) = ask(client, {"image": picture}, CONFIG, regions_of(prompt, size))
            seconds = perf_counter() - started
            mask = brush_rle.decode(region["value"]["rle"], size)
            shots.append(Shot(prompt, kind, mask, iou(mask, truth[prompt.object]), seconds))
    return shots


def _point(at: tuple[int, int], size: Size, *, positive: bool) -> dict[str, Any]:
    return {
        "id": f"click-{at}",
        "type": "keypointlabels",
        "from_name": "click",
        "to_name": "image",
        "is_positive": positive,
        "value": {
            "x": 100 * at[0] / size.width,
            "y": 100 * at[1] / size.height,
            "keypointlabels": ["Object"],
        },
    }


def _box(box: tuple[int, int, int, int], size: Size) -> dict[str, Any]:
    left, top, right, bottom = box
    value = {
        "x": 100 * left / size.width,
        "y": 100 * top / size.height,
        "width": 100 * (right - left) / size.width,
        "height": 100 * (bottom - top) / size.height,
        "rotation": 0,
        "rectanglelabels": ["Object"],
    }
    return {
        "id": f"box-{box}",
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "value": value,
    }


PROMPTS: Mapping[str, Callable[[SamplePrompt, Size], list[dict[str, Any]]]] = {
    "one click": lambda prompt, size: [_point(prompt.click, size, positive=True)],
    "a negative click more": lambda prompt, size: [
        _point(prompt.click, size, positive=True),
        _point(prompt.outside, size, positive=False),
    ],
    "a box": lambda prompt, size: [_box(prompt.box, size)],
}
"""What is drawn on an object, by its name."""

TINTS = ((255, 196, 0), (0, 229, 255), (255, 64, 129))
"""RGB, one for each prompted object: far from the sample's own colours."""


def overlay(shots: Sequence[Shot]) -> Pixels:
    """The sample picture with these masks over it and the prompts that they answer."""
    picture: Pixels = cv2.cvtColor(cv2.imread(str(demo.SAMPLE_IMAGE)), cv2.COLOR_BGR2RGB)
    for shot, tint in zip(shots, TINTS, strict=False):
        picture[shot.mask] = (0.45 * picture[shot.mask] + 0.55 * np.array(tint)).astype(np.uint8)
        outline, _ = cv2.findContours(shot.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outline, -1, (255, 255, 255), 3, cv2.LINE_AA)
    for shot in shots:
        _draw_prompt(picture, shot)
    return picture


def _draw_prompt(picture: Pixels, shot: Shot) -> None:
    if shot.kind == "a box":
        left, top, right, bottom = shot.prompt.box
        cv2.rectangle(picture, (left, top), (right, bottom), (20, 20, 20), 3, cv2.LINE_AA)
        return
    clicks = [(shot.prompt.click, (0, 150, 60))]
    if shot.kind != "one click":
        clicks.append((shot.prompt.outside, (210, 0, 40)))
    for at, colour in clicks:
        cv2.circle(picture, at, 13, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(picture, at, 10, colour, -1, cv2.LINE_AA)
