"""What a file that can't be read as a picture is, in words and with what to do; never a word of what stands in it."""

from __future__ import annotations

from typing import IO

CONVERT = "convert it to JPEG or PNG"
_HEIF = ("heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "mif2", "msf1", "heif")
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"IIU\0", b"\0MRM")

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    *((4, b"ftyp" + brand.encode(), f"a HEIC or HEIF picture; {CONVERT}") for brand in _HEIF),
    (4, b"ftypavif", "a damaged AVIF picture"),
    (4, b"ftypavis", "a damaged AVIF picture"),
    (4, b"ftypcrx ", f"a camera's raw picture; {CONVERT}"),
    (4, b"ftypjxl ", f"a JPEG XL picture; {CONVERT}"),
    (4, b"JXL \r\n\x87\n", f"a JPEG XL picture; {CONVERT}"),
    (0, b"\xff\x0a", f"a JPEG XL picture; {CONVERT}"),
    (0, b"II\xbc\x01", f"a JPEG XR picture; {CONVERT}"),
    (128, b"DICM", f"a DICOM file; {CONVERT}, one file a slice"),
    (0, b"8BPS", f"a Photoshop document; {CONVERT}"),
    (0, b"v/1\x01", f"an OpenEXR picture; {CONVERT}"),
    (0, b"#?RADIANCE", f"a Radiance HDR picture; {CONVERT}"),
    *((0, start, f"a camera's raw picture; {CONVERT}") for start in _RAW),
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


def kind_of(file: IO[bytes]) -> str:
    """To follow "it is"."""
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
