"""Scenes that are encoded and sent soon."""

from __future__ import annotations

import cv2
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import data_url

SIZE = Size(120, 160)


def picture(seed: int) -> str:
    """As an address."""
    return data_url(draw_scene(seed, width=SIZE.width, height=SIZE.height).image)


def png(seed: int) -> bytes:
    return cv2.imencode(".png", draw_scene(seed, width=SIZE.width, height=SIZE.height).image)[1].tobytes()
