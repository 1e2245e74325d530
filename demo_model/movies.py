"""Clips as video files."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av

from demo_model.textures import Pixels

_QUALITY = "20"  # constant rate factor of H.264: visually near the drawn frames


def write_movie(path: Path, frames: Iterable[Pixels], frames_a_second: int = 12) -> None:
    """Write (H, W, 3) uint8 RGB frames of even sides as an mp4; H.264 where PyAV has it, else MPEG-4."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(frames_a_second))
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": _QUALITY}
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
