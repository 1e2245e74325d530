"""A video file, opened: its container, its video stream, and what decodes of its packets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from label_studio_sam2.errors import MediaUnreadable

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,h264,hevc,m4v,ivf,mxf,mjpeg,nut,"
    "mp3,wav,flac,aac"
)
# Playlists could name other files and addresses, and plain text would be read as a terminal's recording.
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}

_SEGMENT = bytes.fromhex("18538067")
"""How a Matroska segment begins."""


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The file and its video stream, with a decoder. Raises MediaUnreadable with the reason."""
    try:
        container = av.open(f"file:{path}", options=_OPTIONS)
    except (av.error.FFmpegError, ValueError) as error:
        empty = path.is_file() and path.stat().st_size == 0
        why = "it is empty" if empty else "it is of another kind, or was cut off before its index"
        raise MediaUnreadable(
            f"The file can't be read as a video: {why}. Use a whole MP4 or WebM file."
        ) from error
    with container, naming_damage():
        yield container, _video_stream(container)


@contextmanager
def naming_damage() -> Iterator[None]:
    """FFmpeg's own errors become MediaUnreadable."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise MediaUnreadable(
            "The video's file is damaged: a part of it can't be read. Export it again, or convert it to MP4."
        ) from error


def _video_stream(container: InputContainer) -> VideoStream:
    cover = av.stream.Disposition.attached_pic
    stream = next((stream for stream in container.streams.video if not stream.disposition & cover), None)
    if stream is None:
        what = "sound but no picture" if container.streams.audio else "no video stream"
        raise MediaUnreadable(f"The file has {what}; a video is needed.")
    if stream.codec_context is None:
        raise MediaUnreadable("There is no decoder for the video's codec here. Convert it to H.264 in MP4.")
    return stream


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets up to the file's end or to where it was cut off."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except av.error.FFmpegError:
        return


def whole(path: Path, container: InputContainer, stream: VideoStream, read: int) -> int:
    """How many packets the file's own index speaks of, where it was cut off; `read` is how many there are.

    As many, or fewer, where nothing is missing: an index may count what an edit list leaves out.
    """
    kind = container.format.name
    if kind.startswith("mov"):
        there = path.stat().st_size
        entries = stream.index_entries
        cut = len(entries) > read and any(entry.pos + entry.size > there for entry in entries)
        return len(entries) if cut else read
    if kind.startswith("matroska"):
        return read + 1 if _ends_before_its_segment(path) else read
    return stream.frames if kind == "avi" else read


def _ends_before_its_segment(path: Path) -> bool:
    """Whether a Matroska or WebM file is shorter than its one segment says (RFC 8794: a size is as many bytes as its
    first has leading zeros, and one more; all ones mean that it isn't known)."""
    with path.open("rb") as file:
        head = file.read(4096)
    begin = head.find(_SEGMENT) + len(_SEGMENT)
    length = 9 - head[begin].bit_length() if len(_SEGMENT) <= begin < len(head) else 9
    if length > 8:
        return False
    unknown = (1 << 7 * length) - 1
    size = int.from_bytes(head[begin : begin + length]) & unknown
    return size != unknown and begin + length + size > path.stat().st_size


def decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """What decodes of the packets; a damaged packet is left out."""
    for packet in chain(packets(container, stream), (None,)):
        try:
            yield from stream.codec_context.decode(packet)
        except av.error.FFmpegError:
            continue
