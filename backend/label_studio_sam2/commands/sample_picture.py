"""The sample picture: clicks and boxes on it over HTTP, as Label Studio sends them, and the masks drawn."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np

from label_studio_sam2 import demo
from label_studio_sam2.commands.asking import DemoFailedError, ask
from label_studio_sam2.demo import SamplePrompt
from label_studio_sam2.geometry import iou, pixels_to_percent
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.media_files.painting import DARK, paint
from label_studio_sam2.types import Bitmap, Pixels, Size


class Shot(NamedTuple):
    """One request's answer: what was asked for, its mask, its IoU with the truth and how long it took. `regions` are
    the prompts as they were sent."""

    prompt: SamplePrompt
    kind: str
    mask: Bitmap
    iou: float
    seconds: float
    regions: list[dict[str, Any]]


class Sample:
    """The sample picture, its true masks, and a service that is asked about it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._data = {
            "image": "data:image/jpeg;base64," + base64.b64encode(demo.SAMPLE_IMAGE.read_bytes()).decode()
        }
        self.truth = demo.sample_masks()
        self.size = Size(*self.truth.shape[1:])

    def shot(self, kind: str, regions: list[dict[str, Any]], prompts: Sequence[SamplePrompt]) -> Shot:
        """The answer to these prompts, as a mask of that object of `prompts` that it is most like."""
        started = perf_counter()
        config = TEMPLATES["words" if kind == IN_WORDS else "brush"].with_labels()
        answered = ask(self._client, self._data, config, regions)
        seconds = perf_counter() - started
        masks = [region["value"]["rle"] for region in answered if "rle" in region["value"]]
        if not masks:
            raise DemoFailedError(f"The service found no object {kind} of {prompts[0].name}.")
        mask = brush_rle.decode(masks[0], self.size)
        ious = {prompt: iou(mask, self.truth[prompt.object]) for prompt in prompts}
        best = max(prompts, key=ious.__getitem__)
        return Shot(best, kind, mask, ious[best], seconds, regions)


def click(client: httpx.Client) -> list[Shot]:
    """Each kind of prompt on each prompted object of the sample picture, and then one that a negative click mends."""
    sample = Sample(client)
    shots = [
        sample.shot(kind, regions_of(prompt, sample.size), [prompt])
        for kind, regions_of in PROMPTS.items()
        for prompt in demo.sample_prompts()
    ]
    return [*shots, *_mended(sample)]


def _mended(sample: Sample) -> Iterator[Shot]:
    """A box that takes in two objects, and then a negative click on that of them which didn't come."""
    _, *pair = demo.sample_prompts()
    left, top, right, bottom = zip(*(prompt.box for prompt in pair), strict=True)
    around = _box((min(left), min(top), max(right), max(bottom)), sample.size)
    loose = sample.shot(LOOSE, [around], pair)
    yield loose
    other = next(prompt for prompt in pair if prompt is not loose.prompt)
    yield sample.shot(MENDED, [around, _point(other.click, sample.size, positive=False)], [loose.prompt])


def _point(at: tuple[int, int], size: Size, *, positive: bool) -> dict[str, Any]:
    value = {"x": 100 * at[0] / size.width, "y": 100 * at[1] / size.height, "keypointlabels": ["Object"]}
    return _region("click", "keypointlabels", value) | {"is_positive": positive}


def _box(box: tuple[int, int, int, int], size: Size) -> dict[str, Any]:
    (x0, y0), (x1, y1) = pixels_to_percent(np.reshape(box, (2, 2)), size).tolist()
    value = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0, "rotation": 0}
    return _region("box", "rectanglelabels", value | {"rectanglelabels": ["Object"]})


def _words(prompt: SamplePrompt) -> dict[str, Any]:
    return _region("words", "textarea", {"text": [CALLED[prompt.name]]})


def _region(control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{value}", "type": kind, "from_name": control, "to_name": "image", "value": value}


IN_WORDS = "in words"
CALLED = {"ring": "blue ring", "green": "green rectangle", "violet": "purple thing"}
"""What is typed for each prompted object."""

PROMPTS: Mapping[str, Callable[[SamplePrompt, Size], list[dict[str, Any]]]] = {
    "one click": lambda prompt, size: [_point(prompt.click, size, positive=True)],
    "a box": lambda prompt, size: [_box(prompt.box, size)],
    IN_WORDS: lambda prompt, _: [_words(prompt)],
}
"""What is drawn on an object, by its name."""

LOOSE = "a loose box"
MENDED = "and a negative click"

TINTS = ((255, 196, 0), (0, 229, 255), (255, 64, 129))
"""RGB, one for each prompted object: far from the sample's own colours."""

INCLUDED, EXCLUDED = (0, 150, 60), (210, 0, 40)
MARGIN, GAP = 60, 12
"""Pixels around the loose box, and between its two pictures."""


def overlay(shots: Sequence[Shot]) -> Pixels:
    """The sample picture with these masks over it and the prompts that they answer."""
    picture: Pixels = cv2.cvtColor(cv2.imread(str(demo.SAMPLE_IMAGE)), cv2.COLOR_BGR2RGB)
    names = [prompt.name for prompt in demo.sample_prompts()]
    for shot in shots:
        paint(picture, shot.mask, TINTS[names.index(shot.prompt.name)], opacity=0.22, edge=2)
    for shot in shots:
        for region in shot.regions:
            _draw_prompt(picture, region, shot.mask)
    return picture


def mended(shots: Sequence[Shot]) -> Pixels:
    """What the loose box gave, and beside it what the negative click made of it."""
    before, after = (next(shot for shot in shots if shot.kind == kind) for kind in (LOOSE, MENDED))
    left, top, right, bottom = _corners(before.regions[0], Size(*before.mask.shape))
    seen = slice(max(0, top - MARGIN), bottom + MARGIN), slice(max(0, left - MARGIN), right + MARGIN)
    first, second = (overlay([shot])[seen] for shot in (before, after))
    return np.hstack([first, np.full((len(first), GAP, 3), 255, np.uint8), second])


def _draw_prompt(picture: Pixels, region: dict[str, Any], mask: Bitmap) -> None:
    if region["type"] == "textarea":
        _write(picture, region["value"]["text"][0], mask)
        return
    left, top, right, bottom = _corners(region, Size(*picture.shape[:2]))
    if region["type"] == "rectanglelabels":
        cv2.rectangle(picture, (left, top), (right, bottom), DARK, 2, cv2.LINE_AA)
    else:
        _dot(picture, (left, top), INCLUDED if region["is_positive"] else EXCLUDED)


def _corners(region: dict[str, Any], size: Size) -> tuple[int, int, int, int]:
    """A prompt's corners in pixels; a click's are all the same."""
    value = region["value"]
    x, y = value["x"] * size.width / 100, value["y"] * size.height / 100
    width, height = value.get("width", 0) * size.width / 100, value.get("height", 0) * size.height / 100
    return round(x), round(y), round(x + width), round(y + height)


def _write(picture: Pixels, words: str, mask: Bitmap) -> None:
    """In the middle of what they name, dark on light, on any ground."""
    rows, columns = np.nonzero(mask)
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.9
    (width, height), _ = cv2.getTextSize(words, font, scale, 2)
    at = round(float(columns.mean()) - width / 2), round(float(rows.mean()) + height / 2)
    for colour, thickness in (((255, 255, 255), 8), (DARK, 2)):
        cv2.putText(picture, words, at, font, scale, colour, thickness, cv2.LINE_AA)


def _dot(picture: Pixels, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """A click: a dot with a white ring, and a dark one around it, on any ground."""
    for radius, filling in ((13, DARK), (12, (255, 255, 255)), (8, colour)):
        cv2.circle(picture, at, radius, filling, -1, cv2.LINE_AA)
