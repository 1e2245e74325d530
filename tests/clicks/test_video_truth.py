"""Masklets over HTTP against the truth and against the stock predictor, given the same prompts."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from label_studio_sam2 import demo
from label_studio_sam2.geometry import iou, tight_box
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap, Box, Prompt, Size

from demo_model.clips import Clip
from demo_model.movies import write_movie
from tests.fakes.asking import body, regions_of
from tests.fakes.networks import demo_model
from tests.fakes.stock import initial_state, prompt_with, propagated

RATE = 12
FRAMES = 24
CONFIG = f"""<View>
  <Labels name="labels" toName="video"><Label value="Thing"/></Labels>
  <Video name="video" value="$video" framerate="{RATE}"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>"""

Truth = list[Bitmap]


def mean_j(masks: dict[int, Bitmap], truth: Truth) -> float:
    nothing = np.zeros_like(truth[0])
    return float(np.mean([iou(masks.get(n, nothing), mask) for n, mask in enumerate(truth) if mask.any()]))


def over_http(client: httpx.Client, video: bytes, size: Size, box: Box, count: int) -> dict[int, Bitmap]:
    keyframe = {
        "frame": 1,
        "enabled": True,
        "rotation": 0,
        "x": 100 * box.x0 / size.width,
        "y": 100 * box.y0 / size.height,
        "width": 100 * (box.x1 - box.x0) / size.width,
        "height": 100 * (box.y1 - box.y0) / size.height,
    }
    value = {"framesCount": count, "duration": count / RATE, "sequence": [keyframe], "labels": ["Thing"]}
    drawn = {"id": "a", "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}
    address = "data:video/mp4;base64," + base64.b64encode(video).decode()
    asked = body("", [drawn], CONFIG) | {"tasks": [{"id": "truth", "data": {"video": address}}]}
    (region,) = regions_of(client.post("/predict", json=asked))
    return {
        one["frame"] - 1: coco_rle.decode(one["rle"]["counts"], size)
        for one in region["value"]["sequence"]
        if "rle" in one
    }


def by_the_stock_predictor(path: Path, box: Box) -> dict[int, Bitmap]:
    video = Video.open(path)
    pictures = [frame.copy() for frame in video.frames(range(len(video)))]
    network = demo_model().network
    with torch.inference_mode():
        state = initial_state(network, pictures)
        prompt_with(network, state, {"a": {0: Prompt(box=box)}})
        return {frame: mask for (frame, _), mask in propagated(network, state).items()}


def held_out(seed: int, folder: Path) -> tuple[Path, Truth]:
    """A clip that the demo model never saw, and its first object's masks."""
    clip = Clip(seed, difficulty="plain", split="held_out", width=320, height=240)
    frames = [clip.frame(number) for number in range(FRAMES)]
    path = folder / f"{seed}.mp4"
    write_movie(path, (frame.image for frame in frames), RATE)
    return path, [frame.masks[0] for frame in frames]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 1, 4])
def test_j_over_http_is_the_stock_predictors(seed: int | None, client: httpx.Client, tmp_path: Path) -> None:
    """Up to the rounding of the box to per cent: within 0.01."""
    if seed is None:
        path, truth = demo.SAMPLE_CLIP, list(demo.sample_clip_masks()[:, 0])
    else:
        path, truth = held_out(seed, tmp_path)
    box = tight_box(truth[0])
    assert box is not None
    size = Size(*truth[0].shape)
    ours = mean_j(over_http(client, path.read_bytes(), size, box, len(truth)), truth)
    assert ours == pytest.approx(mean_j(by_the_stock_predictor(path, box), truth), abs=0.01)
