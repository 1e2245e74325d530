"""Requests in the shape that Label Studio 1.23.2 sends them, and their answers' masks."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import httpx
import numpy as np
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.types import Bitmap, Pixels, Size

from tests.fakes.project_server import PROJECT

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image" smart="false"><Label value="Car"/><Label value="Dog"/></BrushLabels>
  <KeyPointLabels name="click" toName="image" smart="true"><Label value="Car"/><Label value="Dog"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true"><Label value="Car"/><Label value="Dog"/></RectangleLabels>
</View>"""

Region = dict[str, Any]


def data_url(pixels: Pixels) -> str:
    """A picture (H, W, 3) as the address of a PNG."""
    png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1]
    return "data:image/png;base64," + base64.b64encode(png).decode()


def click(
    x: float, y: float, size: Size, *, positive: bool = True, label: str = "Car", name: str = ""
) -> Region:
    """A smart keypoint at a pixel."""
    value = {"x": 100 * x / size.width, "y": 100 * y / size.height, "width": 0.2, "keypointlabels": [label]}
    return {
        "id": name or f"click{x},{y}",
        "type": "keypointlabels",
        "from_name": "click",
        "to_name": "image",
        "is_positive": positive,
        "original_width": size.width,
        "original_height": size.height,
        "image_rotation": 0,
        "value": value,
        "origin": "manual",
    }


def box(x0: float, y0: float, x1: float, y1: float, size: Size, *, label: str = "Car") -> Region:
    """A smart rectangle in pixels."""
    value = {
        "x": 100 * x0 / size.width,
        "y": 100 * y0 / size.height,
        "width": 100 * (x1 - x0) / size.width,
        "height": 100 * (y1 - y0) / size.height,
        "rotation": 0,
        "rectanglelabels": [label],
    }
    return {
        "id": f"box{x0},{y0}",
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "original_width": size.width,
        "original_height": size.height,
        "image_rotation": 0,
        "value": value,
    }


def body(
    image: Any, regions: Sequence[Region] | None, config: str | None = CONFIG, **more: Any
) -> dict[str, Any]:
    """An interactive request, or with `regions` None an opened task."""
    context = None if regions is None else {"result": list(regions)}
    return {
        "tasks": [{"id": 1, "data": {"image": image}}],
        "project": "1.1795457783",
        "label_config": config,
        "params": {"login": None, "password": None, "context": context},
    } | more


def regions_of(response: httpx.Response) -> list[Region]:
    """The regions of an interactive answer."""
    assert response.status_code == httpx.codes.OK, response.text
    (prediction,) = response.json()["results"]
    result: list[Region] = prediction["result"]
    return result


def mask_of(region: Region) -> Bitmap:
    """The bitmap of a brush region."""
    return brush_rle.decode(region["value"]["rle"], Size(region["original_height"], region["original_width"]))


def inside(mask: Bitmap) -> tuple[int, int]:
    """The pixel (x, y) deepest inside a mask."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def task(number: int, image: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "data": {"image": image}, "annotations": [], "predictions": []} | more


def batch(tasks: list[dict[str, Any]], config: str = CONFIG, **more: Any) -> dict[str, Any]:
    """As "Retrieve predictions" sends it."""
    return body("", None, config) | {"tasks": tasks, "project": f"{PROJECT}.1"} | more


def results_of(answer: httpx.Response) -> list[list[Region]]:
    """Each task's regions."""
    assert answer.status_code == 200, answer.text
    return [entry["result"] if entry else [] for entry in answer.json()["results"]]
