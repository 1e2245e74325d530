"""A picture file becomes upright RGB pixels, or an error that says what the file is instead.

Upright means: the EXIF orientation is applied, as browsers do before they measure a click. Transparency is
laid over white, 16 bits a channel become the upper 8, and of several frames or pages the first is taken.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import error as StructError
from typing import IO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from label_studio_sam2.errors import MediaUnavailable, MediaUnreadable, TooLarge
from label_studio_sam2.types import Pixels, Size

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
"""What is decoded; Pillow's other plug-ins (one starts Ghostscript) never see a stranger's bytes."""

STRIP_PIXELS = 4_000_000

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

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (4, b"ftypheic", "a HEIC picture; convert it to JPEG or PNG"),
    (4, b"ftypheix", "a HEIC picture; convert it to JPEG or PNG"),
    (4, b"ftypmif1", "a HEIF picture; convert it to JPEG or PNG"),
    (4, b"ftypavif", "a damaged AVIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\xff\xd8\xff", "a damaged JPEG"),
    (0, b"\x89PNG", "a damaged PNG"),
    (0, b"GIF8", "a damaged GIF"),
    (0, b"II*\x00", "a damaged TIFF"),
    (0, b"MM\x00*", "a damaged TIFF"),
    (8, b"WEBP", "a damaged WebP"),
    (8, b"AVI ", "a video"),
)
"""Offset, bytes and what a file that holds them there is."""

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


def size(path: Path, max_pixels: int, *, name: str = "The picture") -> Size:
    """The upright picture's size, from the file's header alone; raises as `read`, where a header shows it."""
    with _opened(path, max_pixels, name) as (_, picture, orientation):
        width, height = picture.size
    return Size(width, height) if orientation in {5, 6, 7, 8} else Size(height, width)


def read(path: Path, *, max_pixels: int, name: str = "The picture") -> Pixels:
    """Decode a picture file to (H, W, 3) RGB, upright and contiguous.

    `name` opens the error texts: the picture's address or task. Raises TooLarge above `max_pixels`, before
    any pixel is decoded, MediaUnreadable for what is no whole picture, MediaUnavailable where the file is
    gone.
    """
    with _opened(path, max_pixels, name) as (file, picture, orientation):
        try:
            pixels = _decode(file, picture)
        except _DAMAGE as problem:
            raise MediaUnreadable(f"{name} is damaged or cut short ({problem}).") from problem
    upright = _TURNS.get(orientation)
    return np.ascontiguousarray(upright(pixels)) if upright else pixels


@contextmanager
def _opened(path: Path, max_pixels: int, name: str) -> Iterator[tuple[IO[bytes], Image.Image, int]]:
    """The file, its header read and small enough, and the EXIF orientation that is still to be applied."""
    try:
        file = path.open("rb")
    except FileNotFoundError as problem:
        raise MediaUnavailable(f"{name} is no longer in the media cache; ask again.") from problem
    with file, _header(file, name) as (picture, orientation):
        width, height = picture.size
        if width * height > max_pixels:
            raise TooLarge(
                f"{name} has {width} x {height} = {width * height:,} pixels, "
                f"and MAX_IMAGE_PIXELS allows {max_pixels:,}."
            )
        yield file, picture, orientation


@contextmanager
def _header(file: IO[bytes], name: str) -> Iterator[tuple[Image.Image, int]]:
    # Given a path, Pillow maps uncompressed files into memory, and then turns TIFFs wrongly.
    try:
        with _quiet_pillow():
            picture = Image.open(file, formats=FORMATS)
            orientation = _orientation(picture)
    except UnidentifiedImageError as problem:
        raise MediaUnreadable(f"{name} can't be read as a picture: it is {_kind(file)}.") from problem
    except _DAMAGE as problem:
        raise MediaUnreadable(f"{name} is damaged or cut short ({problem}).") from problem
    with picture:
        yield picture, orientation


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


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":
        return 1  # Pillow turns these itself
    # The PNG plug-in's own getexif would decode all pixels in search of a chunk behind them.
    return int(Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1))


def _decode(file: IO[bytes], picture: Image.Image) -> Pixels:
    if picture.format in {"JPEG", "MPO"} and picture.mode in {"RGB", "L"}:
        # The same libjpeg-turbo and the same pixels as Pillow's, without Pillow's two copies.
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        file.seek(0)
        pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), flags)
        if pixels is not None and pixels.shape[1::-1] == picture.size:
            return np.asarray(pixels, np.uint8)
    picture.load()
    return _in_strips(picture, _converter(picture))


def _in_strips(picture: Image.Image, convert: Callable[[Image.Image], NDArray[np.uint8]]) -> Pixels:
    """Convert a few rows at a time, so that a large picture is never held in three forms at once."""
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        pixels[top:bottom] = convert(picture.crop((0, top, width, bottom)))
    return pixels


def _converter(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    if picture.mode.startswith("I;16"):
        return lambda strip: (np.asarray(strip) >> 8).astype(np.uint8)[..., None]
    if picture.mode in {"I", "F"}:
        return _stretch(picture)
    if picture.has_transparency_data:
        return _over_white
    return lambda strip: np.asarray(strip.convert("RGB"))


def _stretch(picture: Image.Image) -> Callable[[Image.Image], NDArray[np.uint8]]:
    """32-bit greys have no agreed white: the darkest becomes 0 and the lightest 255."""
    low, high = np.asarray(picture.getextrema(), np.float64)
    scale = 255 / (high - low) if high > low else 0.0
    return lambda strip: ((np.asarray(strip, np.float64) - low) * scale).astype(np.uint8)[..., None]


def _over_white(strip: Image.Image) -> NDArray[np.uint8]:
    white = Image.new("RGBA", strip.size, "white")
    return np.asarray(Image.alpha_composite(white, strip.convert("RGBA")).convert("RGB"))


def _kind(file: IO[bytes]) -> str:
    """What a file that is no picture is, in words; never a word of what stands in it."""
    file.seek(0)
    head = file.read(512)
    if not head:
        return "empty (0 bytes)"
    for offset, signature, noun in _SIGNATURES:
        if head.startswith(signature, offset):
            return noun
    start = head.lstrip().lower()
    if b"<svg" in start:
        return "an SVG drawing; convert it to PNG or JPEG"
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps a sign-in or an error page"
    return "text" if _is_text(head) else "of a format that isn't supported"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 512 else "ignore")
    except UnicodeDecodeError:
        return False
    return not any(ord(character) < 9 for character in text)
