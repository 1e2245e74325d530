"""Networks to test with: the demo model, and a real SAM 2.1 architecture with random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.engine.turn import OnDevice, at_once
from label_studio_sam2.engine.video.frame_input import Frames
from label_studio_sam2.engine.video.source import Encode, VideoFrames
from label_studio_sam2.engine.video.tracker import Tracker
from label_studio_sam2.engine.video.tracking_network import Features, TrackingNetwork
from label_studio_sam2.settings import DEMO
from omegaconf import OmegaConf

CPU = torch.device("cpu")


@cache
def demo_model() -> Model:
    """The shipped demo model, loaded once."""
    return load(DEMO, Path(), CPU)


def random_checkpoint(folder: Path, config: str = "configs/sam2.1/sam2.1_hiera_t.yaml") -> Path:
    """A checkpoint of the published layout, with the weights that the architecture starts from."""
    torch.manual_seed(0)
    network = instantiate(
        OmegaConf.create((resources.files("sam2") / config).read_text()).model, _recursive_=True
    )
    path = folder / "random.pt"
    torch.save({"model": network.state_dict()}, path)
    return path


def anew(_frame: int, compute: Callable[[], Features], /) -> Features:
    """Features that nobody keeps."""
    return compute()


def tracker(
    network: Any,
    video: Frames,
    dtype: torch.dtype | None = None,
    *,
    on_device: OnDevice = at_once,
    encode: Encode = anew,
) -> Tracker:
    """At work on a video, without lane and cache where none are given."""
    tracking = TrackingNetwork(network, len(video), dtype)
    return Tracker(tracking, VideoFrames(video, tracking, on_device, encode), on_device)
