"""A JPEG's or PNG's pixels without what is wrapped around them, and which way up a browser shows them.

Comments, profiles, thumbnails and other metadata are left out before anything decodes the rest: damaged or endless
ones can't take whole pixels along. Of all that may speak of an orientation, browsers follow the EXIF of a JPEG and a
PNG's eXIf ahead of its pixels, each where it is one SHORT; nothing else.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END
from itertools import takewhile
from typing import IO, NamedTuple

UPRIGHT = 1

JPEG = b"\xff\xd8"
_END = b"\xff\xd9"
_SCAN = b"\xff\xda"
_EXIF = b"Exif\0\0"
_APP1, _ADOBE, _COMMENT = 0xE1, 0xEE, 0xFE
_WRAPPING = {*range(_APP1, 0xF0), _COMMENT} - {_ADOBE}
"""JPEG's markers of metadata; Adobe's says what the colours are."""

_ALONE = {0x01, *range(0xD0, 0xD9)}
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_TAIL_BYTES = 4096

PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_READ = _PNG_PIXELS | _ANIMATION | {b"eXIf"}


@dataclass(frozen=True, slots=True)
class PixelData:
    """A file of the same format and the same pixels. `orientation` is EXIF's, 1 to 8. `cut_off`: the file breaks off,
    and an end was put there. `scans`: how often a JPEG goes over its pixels."""

    content: bytes
    orientation: int = UPRIGHT
    cut_off: bool = False
    scans: int = 1


def read(file: IO[bytes]) -> PixelData | None:
    """None where it is neither JPEG nor PNG, or too damaged to tell its pixels from the rest."""
    file.seek(0)
    start = file.read(len(PNG))
    if start.startswith(JPEG):
        return _jpeg(start + file.read())
    return _png(file) if start == PNG else None


def cut_off(file: IO[bytes]) -> bool:
    """Whether a JPEG breaks off before its end; of most files only a few bytes are looked at."""
    file.seek(0)
    if file.read(len(JPEG)) != JPEG:
        return False
    file.seek(-min(_TAIL_BYTES, file.seek(0, SEEK_END)), SEEK_END)
    if _END in file.read():
        return False
    found = read(file)
    return found is not None and found.cut_off


def exif_orientation(tiff: bytes) -> int | None:
    """What an EXIF block says where it is the one SHORT that the standard wants, else None."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    entries = tiff[directory + 2 :]
    (count,) = struct.unpack(f"{order}H", tiff[directory : directory + 2].ljust(2, b"\0"))
    for entry in struct.iter_unpack(f"{order}HHIHxx", entries[: min(12 * count, len(entries) // 12 * 12)]):
        if entry[:3] == (0x0112, 3, 1):
            return int(entry[3])
    return None


class _Segment(NamedTuple):
    marker: int
    start: int
    end: int


def _jpeg(content: bytes) -> PixelData | None:
    head = list(takewhile(lambda segment: segment.marker != _SCAN[1], _segments(content, len(JPEG))))
    start = head[-1].end if head else len(JPEG)
    scan = content.find(_SCAN, start)
    if scan < 0:
        return None
    applications = (content[one.start + 4 : one.end] for one in head if one.marker == _APP1)
    exif = next((block for block in applications if block.startswith(_EXIF)), b"")
    kept = [content[one.start : one.end] for one in head if one.marker not in _WRAPPING]
    end = content.find(_END, scan)
    return PixelData(
        b"".join([JPEG, *kept, content[scan:] if end >= 0 else _ended(content, scan)]),
        exif_orientation(exif[len(_EXIF) :]) or UPRIGHT,
        cut_off=end < 0,
        scans=content.count(_SCAN, scan, end if end >= 0 else len(content)),
    )


def _ended(content: bytes, scan: int) -> bytes:
    """The scans of a JPEG that breaks off, with an end; a table that is cut itself is left out."""
    *_, last = _segments(content, scan)
    return content[scan : last.start if last.end >= len(content) else len(content)] + _END


def _segments(content: bytes, place: int) -> Iterator[_Segment]:
    """From some place on to the end of the picture; entropy-coded data and bytes of no meaning are passed over."""
    while (found := _MARKER.search(content, place)) and found[1] != _END[1:]:
        marker, start = found[1][0], found.end() - 2
        length = 0 if marker in _ALONE else int.from_bytes(content[start + 2 : start + 4], "big")
        place = start + 2 + length
        yield _Segment(marker, start, place)


def _png(file: IO[bytes]) -> PixelData:
    """Of an animation whose default picture is hidden, the first frame, which is what browsers begin with."""
    chunks = list(_chunks(file))
    names = [chunk.name for chunk in chunks]
    ahead = chunks[: names.index(b"IDAT")] if b"IDAT" in names else chunks
    exif = next((chunk.body for chunk in ahead if chunk.name == b"eXIf"), b"")
    kept = [chunk for chunk in chunks if chunk.name in _PNG_PIXELS]
    if frame := _first_frame(ahead, chunks[len(ahead) :]):
        kept = [
            *(chunk for chunk in kept if chunk.name not in {b"IDAT", b"IEND"}),
            frame,
            _Chunk(b"IEND", b""),
        ]
    return PixelData(PNG + b"".join(map(bytes, kept)), exif_orientation(exif) or UPRIGHT)


def _first_frame(ahead: list[_Chunk], behind: list[_Chunk]) -> _Chunk | None:
    """Where a PNG's first picture is none of its animation's: the first that is, if it is of the whole size."""
    names = {chunk.name for chunk in ahead}
    control = next((place for place, chunk in enumerate(behind) if chunk.name == b"fcTL"), None)
    if b"acTL" not in names or b"fcTL" in names or control is None:
        return None
    size = ahead[0].body[:8]
    if behind[control].body[4:20] != size + bytes(8):
        return None
    frame = takewhile(lambda chunk: chunk.name == b"fdAT", behind[control + 1 :])
    return _Chunk(b"IDAT", b"".join(chunk.body[4:] for chunk in frame))


class _Chunk(NamedTuple):
    name: bytes
    body: bytes

    def __bytes__(self) -> bytes:
        check = zlib.crc32(self.body, zlib.crc32(self.name))
        return b"".join((len(self.body).to_bytes(4, "big"), self.name, self.body, check.to_bytes(4, "big")))


def _chunks(file: IO[bytes]) -> Iterator[_Chunk]:
    """Those that are of any use, up to the last one that is whole; of the others nothing is read."""
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name not in _READ:
            file.seek(length + 4, SEEK_CUR)
            continue
        body = file.read(length)
        file.read(4)
        yield _Chunk(name, body)
        if name == b"IEND":
            return
