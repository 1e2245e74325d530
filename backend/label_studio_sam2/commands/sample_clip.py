"""The sample clip: a box on one frame over HTTP, and the masklet that comes back drawn over the whole clip."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np

from label_studio_sam2 import demo
from label_studio_sam2.commands.asking import ask
from label_studio_sam2.exports.masklets.overlay import encoder
from label_studio_sam2.geometry import iou, pixels_to_percent, tight_box
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from label_studio_sam2.media_files.painting import DARK, paint
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap, Box, Pixels, Size

TINTS = ((255, 196, 0), (0, 229, 255))
STRIP_FRAMES = 6
GAP = 8


class Masklet(NamedTuple):
    """One object's masks by frame (from 0), J against the truth, and where its box was drawn."""

    masks: dict[int, Bitmap]
    j: float
    box: Box
    prompted: int


class Clip(NamedTuple):
    """All masklets of the clip, and how long their answer took."""

    video: Video
    masklets: list[Masklet]
    seconds: float


def track(client: httpx.Client) -> Clip:
    """Every object of the clip, each from the box on the first frame that shows it."""
    video = Video.open(demo.SAMPLE_CLIP)
    truth = demo.sample_clip_masks()
    prompted = [int(np.argmax(truth[:, thing].any(axis=(1, 2)))) for thing in range(truth.shape[1])]
    boxes = [tight_box(truth[frame, thing]) for thing, frame in enumerate(prompted)]
    regions = [
        _region(f"object-{thing}", box, frame, video)
        for thing, (box, frame) in enumerate(zip(boxes, prompted, strict=True))
        if box is not None
    ]
    content = "data:video/mp4;base64," + base64.b64encode(demo.SAMPLE_CLIP.read_bytes()).decode()
    started = perf_counter()
    answered = ask(client, {"video": content}, TEMPLATES["video"].with_labels(frame_rate=video.rate), regions)
    seconds = perf_counter() - started
    masklets = []
    for thing, (region, box, frame) in enumerate(zip(answered, boxes, prompted, strict=True)):
        assert box is not None
        masks = _masks(region, video.size)
        masklets.append(Masklet(masks, _j(masks, truth[:, thing]), box, frame))
    return Clip(video, masklets, seconds)


def _region(name: str, box: Box, frame: int, video: Video) -> dict[str, Any]:
    x0, y0, x1, y1 = pixels_to_percent(np.array(box).reshape(2, 2), video.size).ravel().tolist()
    keyframe = {
        "frame": frame + 1,
        "enabled": True,
        "rotation": 0,
        "x": x0,
        "y": y0,
        "width": x1 - x0,
        "height": y1 - y0,
    }
    value = {
        "framesCount": len(video),
        "duration": len(video) / video.rate,
        "sequence": [keyframe],
        "labels": ["Object"],
    }
    return {"id": name, "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}


def _masks(region: dict[str, Any], size: Size) -> dict[int, Bitmap]:
    return {
        keyframe["frame"] - 1: coco_rle.decode(keyframe["rle"]["counts"], size)
        for keyframe in region["value"]["sequence"]
        if "rle" in keyframe
    }


def _j(masks: dict[int, Bitmap], truth: Bitmap) -> float:
    """Mean IoU over the frames that show the object (DAVIS)."""
    nothing = np.zeros(truth.shape[1:], np.bool_)
    shown = np.flatnonzero(truth.any(axis=(1, 2)))
    return float(np.mean([iou(masks.get(int(frame), nothing), truth[frame]) for frame in shown]))


def drawn(clip: Clip) -> Iterator[Pixels]:
    """Each frame with its masks over it."""
    for number, picture in enumerate(clip.video.frames(range(len(clip.video)))):
        yield _overlaid(picture.copy(), clip.masklets, number)


def _overlaid(picture: Pixels, masklets: Sequence[Masklet], number: int) -> Pixels:
    for masklet, tint in zip(masklets, TINTS, strict=False):
        mask = masklet.masks.get(number)
        if mask is not None:
            paint(picture, mask, tint, opacity=0.22, edge=2)
        if number == masklet.prompted:
            x0, y0, x1, y1 = (round(edge) for edge in masklet.box)
            cv2.rectangle(picture, (x0, y0), (x1, y1), DARK, 2, cv2.LINE_AA)
    return picture


def strip(clip: Clip) -> Pixels:
    """Six frames from the first to the last, side by side in two rows."""
    chosen = set(np.linspace(0, len(clip.video) - 1, STRIP_FRAMES).round().astype(int).tolist())
    frames = [picture for number, picture in enumerate(drawn(clip)) if number in chosen]
    framed = [np.pad(frame, ((0, GAP), (0, GAP), (0, 0)), constant_values=255) for frame in frames]
    half = STRIP_FRAMES // 2
    return np.vstack([np.hstack(framed[:half]), np.hstack(framed[half:])])[:-GAP, :-GAP]


def write_video(path: Path, clip: Clip) -> None:
    """The clip with its masks, as MP4."""
    with encoder(path, clip.video) as encode:
        for picture, time in zip(drawn(clip), clip.video.times, strict=True):
            encode(picture, float(time))
