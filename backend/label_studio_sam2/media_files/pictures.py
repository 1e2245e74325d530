"""A picture file becomes upright RGB pixels, or an error that says what the file is instead.

Upright means: turned as browsers do before they measure a click (see `pixel_data`). Transparency is laid over
white, 16 bits a channel become the upper 8, and of several frames or pages the first is taken.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from struct import error as StructError
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from label_studio_sam2.errors import MediaUnavailable, MediaUnreadable, TooLarge
from label_studio_sam2.media_files import pixel_data
from label_studio_sam2.media_files.kinds import kind_of
from label_studio_sam2.media_files.pixel_data import UPRIGHT, PixelData
from label_studio_sam2.media_files.rgb import rgb
from label_studio_sam2.media_files.room import Room
from label_studio_sam2.types import Pixels, Size

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
"""What is decoded; Pillow's other plug-ins (one starts Ghostscript) never see a stranger's bytes."""

ROOM = Room(1 << 30)
"""For the pixels of all pictures that are being decoded or wait to be encoded; the largest decode one at a time."""

_FILES = Room(1 << 29)
FILE_COPIES = 3
BYTES_A_PIXEL = {"JPEG": 6, "WEBP": 12, "AVIF": 12, "JPEG2000": 24}
"""That a decoder holds at its worst, with the pixels that come of it, turned or not."""

OTHERWISE_BYTES = 10

MOST_SCANNED = 1_600_000_000
USUAL_SCANS = 16
"""Each of a progressive JPEG's scans goes over all its pixels, some 3 ns each; no encoder makes many more than ten."""

CUT_OFF = "The picture's file breaks off before its end: its lower part may be missing."

_TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}
"""EXIF orientation (tag 0x0112) to what makes it upright; 1 and anything unknown is upright already."""

_SIDEWAYS = frozenset({5, 6, 7, 8})

# Pillow's decoders report damaged bytes by whatever they stumble over; all of these were seen or are documented.
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StructError,
    SyntaxError,
    TypeError,
    ValueError,
    cv2.error,
)

_pillow_globals = threading.Lock()


def read(path: Path, *, max_pixels: int, name: str = "The picture", room: Room = ROOM) -> Pixels:
    """Decode a picture file to (H, W, 3) RGB, upright and contiguous. A JPEG that breaks off ends in
    grey.

    `name` opens the error texts: the picture's address or task. Waits until `room` has room for the decoding, and
    leaves what it returns in there until nobody refers to it any more. Raises TooLarge above `max_pixels`, before any
    pixel is decoded, MediaUnreadable for what is no picture, MediaUnavailable where the file is gone, Busy where there
    is no room in time.
    """
    with opened(path, name) as found:
        return decoded(found, max_pixels, name, room)


def decoded(found: Opened, max_pixels: int, name: str, room: Room) -> Pixels:
    """As `read` does it."""
    picture, wrapped, _ = found
    _bounded(picture, wrapped, max_pixels, name)
    with room.taken(_bytes_to_decode(picture), name), damage(name):
        pixels = turned(_decode(picture, wrapped), orientation(picture, wrapped))
        room.held_by(pixels)
    return pixels


class Shown(NamedTuple):
    """What a picture's file says of itself: the size of the upright picture, its format as Pillow names it, and whether
    whoever reads its pixels without more ado sees it upright."""

    size: Size
    format: str
    upright: bool


def shown(path: Path, *, max_pixels: int, name: str = "The picture") -> Shown:
    """Without decoding it. Raises what `read` raises."""
    with opened(path, name, as_it_is=True) as (picture, wrapped, _):
        _bounded(picture, wrapped, max_pixels, name)
        turn = orientation(picture, wrapped)
        return Shown(upright_size(picture, turn), picture.format or "", turn not in _TURNS)


def note(path: Path) -> str:
    """What is to be said of a picture that is shown nevertheless, in a sentence; empty where there is nothing."""
    try:
        with path.open("rb") as file:
            return CUT_OFF if pixel_data.cut_off(file) else ""
    except OSError:
        return ""  # said when it is read


class Opened(NamedTuple):
    """What Pillow says of a file's header, its pixels without what is wrapped around them, and the file."""

    picture: Image.Image
    wrapped: PixelData | None
    file: IO[bytes]


@contextmanager
def opened(path: Path, name: str, *, as_it_is: bool = False) -> Iterator[Opened]:
    """A picture's file with nothing of it decoded. `as_it_is`: its pixels aren't wanted, so nothing of it is copied.
    Raises MediaUnreadable, MediaUnavailable, Busy."""
    with _open(path, name) as file, _FILES.taken(FILE_COPIES * path.stat().st_size, name):
        wrapped = pixel_data.read(file)
        content = file if as_it_is or not wrapped else BytesIO(wrapped.content)
        with header(content, file, name) as picture:
            yield Opened(picture, wrapped, file)


@contextmanager
def _open(path: Path, name: str) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except FileNotFoundError as problem:
        raise MediaUnavailable(f"{name} is no longer in the media cache; ask again.") from problem
    with file:
        yield file


@contextmanager
def header(content: IO[bytes], file: IO[bytes], name: str) -> Iterator[Image.Image]:
    """Of a picture that stands in `content`, which is `file` or was made of it."""
    # Given a path, Pillow maps uncompressed files into memory, and then turns TIFFs wrongly.
    content.seek(0)
    try:
        with _quiet_pillow():
            picture = Image.open(content, formats=FORMATS)
    except UnidentifiedImageError as problem:
        raise MediaUnreadable(f"{name} can't be read as a picture: it is {kind_of(file)}.") from problem
    except _DAMAGE as problem:
        raise MediaUnreadable(f"{name} is damaged or cut short ({problem}).") from problem
    with picture:
        yield picture


def _bounded(picture: Image.Image, wrapped: PixelData | None, max_pixels: int, name: str) -> None:
    width, height = picture.size
    if width * height > max_pixels:
        raise TooLarge(
            f"{name} has {width} x {height} = {width * height:,} pixels, "
            f"and MAX_IMAGE_PIXELS allows {max_pixels:,}."
        )
    if wrapped and wrapped.scans * width * height > max(MOST_SCANNED, USUAL_SCANS * width * height):
        raise TooLarge(
            f"{name} is a JPEG of {wrapped.scans} scans, which takes too long to decode: save it again as "
            "a baseline JPEG."
        )


def _bytes_to_decode(picture: Image.Image) -> int:
    return picture.width * picture.height * BYTES_A_PIXEL.get(picture.format or "", OTHERWISE_BYTES)


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Pillow warns of odd headers, and its own pixel limit is a global: ours is the one that counts."""
    with _pillow_globals, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Raises MediaUnreadable for what decoding raises."""
    try:
        yield
    except _DAMAGE as problem:
        raise MediaUnreadable(f"{name} is damaged or cut short ({problem}).") from problem


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Upright and contiguous."""
    upright = _TURNS.get(orientation)
    return np.ascontiguousarray(upright(pixels)) if upright else pixels


def upright_size(picture: Image.Image, orientation: int) -> Size:
    width, height = picture.size
    return Size(width, height) if orientation in _SIDEWAYS else Size(height, width)


def orientation(picture: Image.Image, wrapped: PixelData | None) -> int:
    """Pillow writes what an AVIF's irot and imir say into the EXIF that it hands out; it turns TIFFs itself."""
    if wrapped:
        return wrapped.orientation
    exif = picture.info.get("exif", b"") if picture.format == "AVIF" else b""
    return pixel_data.exif_orientation(exif.removeprefix(b"Exif\0\0")) or UPRIGHT


def _decode(picture: Image.Image, wrapped: PixelData | None) -> Pixels:
    if wrapped and picture.format == "JPEG" and picture.mode in {"RGB", "L"}:
        # The same libjpeg-turbo and the same pixels as Pillow's, without Pillow's two copies.
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(wrapped.content, np.uint8), flags)
        if pixels is not None and pixels.shape[1::-1] == picture.size:
            return np.asarray(pixels, np.uint8)
    return rgb(picture)
