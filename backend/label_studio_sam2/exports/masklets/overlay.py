"""The video itself with its masks drawn over it, an MP4 of the same frames at the same times, without sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from label_studio_sam2.exports.colours import tint
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.report import Report
from label_studio_sam2.media_files.painting import paint
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Pixels, Size

TIME_BASE = Fraction(1, 90_000)
QUALITY = {"crf": "18", "preset": "veryfast"}
OPACITY = 0.5
BORDER = 60
"""How often a border's width goes into the shorter side."""


def write(clips: Iterable[Clip], out: Path, report: Report, step: Callable[[str, int, int], None]) -> None:
    for clip in clips:
        if clip.video is None:
            continue
        masks = _draw(clip, clip.video, out / f"{clip.name}.mp4", step)
        report.wrote(frames=clip.length, masks=masks, by_source=True)


def _draw(clip: Clip, video: Video, path: Path, step: Callable[[str, int, int], None]) -> int:
    masks = 0
    with encoder(path, video) as encode:
        for frame, picture in enumerate(video.frames(range(len(video)))):
            for number, rle in clip.masks(frame):
                inside = rle.bitmap()
                paint(picture, inside, tint(number), opacity=OPACITY)
                masks += 1
            for number, masklet in enumerate(clip.masklets, start=1):
                if frame in masklet.look_at:
                    _frame(picture, tint(number))
            encode(picture, float(video.times[frame]))
            step(clip.name, frame + 1, len(video))
    return masks


def _frame(picture: Pixels, colour: NDArray[np.float64]) -> None:
    """A border for who looks through the video: on this frame tracking may have lost the object of this colour."""
    edge = max(2, min(picture.shape[:2]) // BORDER)
    border = np.ones(picture.shape[:2], np.bool_)
    border[edge:-edge, edge:-edge] = False
    paint(picture, border, colour, opacity=1.0)


@contextmanager
def encoder(path: Path, video: Video) -> Iterator[Callable[[Pixels, float], None]]:
    """Takes upright RGB pictures and their times in seconds."""
    size = Size(*(edge + edge % 2 for edge in video.size))
    with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
        stream = file.add_stream(
            "libx264", rate=Fraction(video.rate).limit_denominator(1001), options=QUALITY
        )
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.colorspace = Colorspace.ITU709

        def encode(picture: Pixels, time: float) -> None:
            rgb = VideoFrame.from_ndarray(_even(picture, size), format="rgb24")
            frame = rgb.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = round(time / TIME_BASE), TIME_BASE
            file.mux(stream.encode(frame))

        yield encode
        file.mux(stream.encode())


def _even(picture: Pixels, size: Size) -> Pixels:
    """With its last row and column repeated where players' chroma needs even edges."""
    rest = [(0, wanted - edge) for wanted, edge in zip(size, picture.shape[:2], strict=True)]
    return np.pad(picture, [*rest, (0, 0)], mode="edge")
