"""Requests for the sample clip in the shape that Label Studio 1.23.2 sends them, and their answers' masks."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
from label_studio_sam2 import demo
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.types import Bitmap, Size

from tests.fakes.asking import Region, body, regions_of

CONFIG = """<View>
  <Labels name="labels" toName="video" allowEmpty="true"><Label value="Player"/><Label value="Ball"/></Labels>
  <Video name="video" value="$video" framerate="12"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>"""
CLIP = "data:video/mp4;base64," + base64.b64encode(demo.SAMPLE_CLIP.read_bytes()).decode()
TRUTH = demo.sample_clip_masks()
COUNT, OBJECTS, *_ = TRUTH.shape
SIZE = Size(*TRUTH.shape[2:])


def keyframe(frame: int, thing: int) -> dict[str, Any]:
    """The true box of an object on one of Label Studio's frames."""
    ys, xs = np.nonzero(TRUTH[frame - 1, thing])
    left, right, top, bottom = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    return {
        "frame": frame,
        "enabled": True,
        "rotation": 0,
        "x": float(100 * left / SIZE.width),
        "y": float(100 * top / SIZE.height),
        "width": float(100 * (right - left) / SIZE.width),
        "height": float(100 * (bottom - top) / SIZE.height),
        "time": frame / 12,
    }


def region(name: str, *sequence: dict[str, Any]) -> Region:
    value = {"framesCount": COUNT, "duration": COUNT / 12, "sequence": list(sequence), "labels": ["Player"]}
    return {
        "id": name,
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "origin": "manual",
        "value": value,
    }


def ask(client: httpx.Client, *regions: Region, config: str = CONFIG, task: int = 1) -> list[Region]:
    asked = body("", list(regions), config) | {"tasks": [{"id": task, "data": {"video": CLIP}}]}
    return regions_of(client.post("/predict", json=asked))


def masks(answered: Region) -> dict[int, Bitmap]:
    """By Label Studio's frame."""
    return {
        one["frame"]: coco_rle.decode(one["rle"]["counts"], SIZE)
        for one in answered["value"]["sequence"]
        if "rle" in one
    }


def mean_iou(answered: Region, thing: int) -> float:
    """J over the frames on which the object is visible."""
    found = masks(answered)
    nothing = np.zeros(SIZE, np.bool_)
    visible = [frame for frame in range(1, COUNT + 1) if TRUTH[frame - 1, thing].any()]
    return float(np.mean([iou(found.get(frame, nothing), TRUTH[frame - 1, thing]) for frame in visible]))


def visible_frame(thing: int, *, after: int = 0) -> int:
    return next(frame for frame in range(after + 1, COUNT + 1) if TRUTH[frame - 1, thing].sum() > 500)
