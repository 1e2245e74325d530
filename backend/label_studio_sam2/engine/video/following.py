"""Trackers at work: on a video's frames, or on pictures in their order."""

from __future__ import annotations

from collections.abc import Callable

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import OnDevice
from label_studio_sam2.engine.video.frame_input import Frames
from label_studio_sam2.engine.video.source import Encode, PictureFrames, Pictures, VideoFrames
from label_studio_sam2.engine.video.tracker import Tracker
from label_studio_sam2.engine.video.tracking_network import TrackingNetwork
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.types import Picture


def through_video(model: Model, frames: Frames, encode: Encode, on_device: OnDevice) -> Tracker:
    network = _network(model, len(frames))
    return Tracker(network, VideoFrames(frames, network, on_device, encode), on_device)


def through_pictures(
    model: Model,
    pictures: Pictures,
    embed: Callable[[Picture], Embedding],
    unreadable: dict[int, ServiceError],
    on_device: OnDevice,
) -> Tracker:
    frames = PictureFrames(pictures, embed, unreadable)
    return Tracker(_network(model, len(pictures)), frames, on_device)


def _network(model: Model, count: int) -> TrackingNetwork:
    dtype = model.encoder_dtype if model.device.type == "cuda" else None
    return TrackingNetwork(model.network, count, dtype)
