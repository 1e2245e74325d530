"""Video files written for tests: each frame carries its own number as eight bright or dark columns."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from label_studio_sam2.media_files.frame_index import FrameIndex
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Pixels, Size
from numpy.typing import NDArray

MILLISECOND = Fraction(1, 1000)


def numbered(number: int, width: int, height: int) -> Pixels:
    """A picture that `number_of` reads back; its upper quarter is red."""
    bits = [number >> bit & 1 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8) * 255, np.diff([bit * width // 8 for bit in range(9)]))
    picture = np.broadcast_to(row[None, :, None], (height, width, 3)).copy()
    picture[: height // 4] = (200, 20, 20)
    return picture


def number_of(picture: Pixels) -> int:
    width = picture.shape[1]
    return sum(1 << bit for bit in range(8) if picture[-4, int((bit + 0.5) * width / 8)].mean() > 127)


def write_clip(
    path: Path,
    *,
    frames: int = 60,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    size: tuple[int, int] = (96, 64),
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    milliseconds: Sequence[int] | None = None,
    rotation: int = 0,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    draw: Callable[[int, int, int], Pixels] = numbered,
) -> Path:
    """A clip of numbered or otherwise drawn frames, at a constant rate or at the times given."""
    width, height = size
    with av.open(str(path), "w", format=container, options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.options = (
            {"x265-params": "log-level=none"} | (options or {}) if codec == "libx265" else options or {}
        )
        if rotation:
            stream.set_display_rotation(rotation)
        if milliseconds is not None:
            stream.codec_context.time_base = MILLISECOND
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(number, width, height), format="rgb24")
            frame.pts = number if milliseconds is None else milliseconds[number]
            if milliseconds is not None:
                frame.time_base = MILLISECOND
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def known(times: NDArray[np.float64], *, duration: float | None = None, begin: float = 0.0) -> Video:
    """A video of these times, of which nothing is decoded."""
    pace = (times[-1] - times[0]) / max(1, len(times) - 1) or 0.04
    stamps = np.arange(len(times))
    return Video(
        Path("nowhere"),
        Size(60, 80),
        float(times[-1] + pace if duration is None else duration),
        float(1 / pace),
        times,
        begin,
        "",
        FrameIndex(stamps, stamps, len(stamps), timed=True),
    )


def write_with_sound(path: Path, *, frames: int = 60, seconds: float, rate: int = 25) -> Path:
    """A clip whose sound lasts as long as is asked for."""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=rate)
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound = out.add_stream("aac", rate=48000)
        for number in range(frames):
            out.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(number, 96, 64), format="rgb24")))
        out.mux(picture.encode())
        for number in range(int(seconds * 48000 / 1024)):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts = 48000, number * 1024
            out.mux(sound.encode(frame))
        out.mux(sound.encode())
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        for number in range(10):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), format="fltp", layout="stereo"
            )
            frame.rate, frame.pts = 44100, number * 1024
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def cut_beginning(path: Path, *, seconds: float) -> Path:
    """Let an MP4's edit list begin later, as a trimming tool does that copies the stream."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)[0]
    entry = data.index(b"elst") + 12
    duration, _ = struct.unpack_from(">Ii", data, entry)
    struct.pack_into(">Ii", data, entry, duration - round(seconds * 1000), round(seconds * scale))
    path.write_bytes(data)
    return path


def damage_packets(path: Path, numbers: Container[int]) -> Path:
    """Blank out the packets of these numbers, in the order of the file."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux(video=0) if packet.size]
    for number, packet in enumerate(packets):
        if number in numbers:
            assert packet.pos is not None
            data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    return path


def without_times(path: Path) -> Path:
    """A Matroska file whose frames all begin at 0."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(3):
            for packet in stream.encode(av.VideoFrame(32, 32, "yuv420p")):
                packet.pts = packet.dts = 0
                out.mux(packet)
    return path
