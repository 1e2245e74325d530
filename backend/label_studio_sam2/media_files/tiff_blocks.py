"""A TIFF's tiles or strips: some of them, written as a smaller TIFF, so that whoever decodes that needs no more memory
than they take (TIFF 6.0, sections 2 and 15)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from typing import IO, Any, NamedTuple

from PIL.TiffImagePlugin import TiffImageFile

from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.types import Size

MOST_PIXELS = 1 << 24
"""Of one tile or strip, which can only be decoded whole: 4096 a side."""

MOST_BYTES = 16
"""Of the file for each pixel of a block: nothing that compresses takes more."""

PADDED = 2
"""Times the picture's pixels that its blocks may hold."""

READ_IN_PARTS = {1, 5, 7, 8, 32773, 32946, 50000}
"""Compressions: none, LZW, JPEG, Deflate by both its numbers, PackBits, Zstandard."""

WIDTH, HEIGHT, COMPRESSION, ORIENTATION, SAMPLES, PLANAR = 256, 257, 259, 274, 277, 284
STRIPS, STRIP_HEIGHT, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
KEPT = (258, COMPRESSION, 262, 266, SAMPLES, PLANAR, 317, 320, 338, 339, 347, 530, 531)
"""Tags that say how a block's pixels are written."""

SHORT, LONG, UNDEFINED = 3, 4, 7

Value = bytes | tuple[int, ...]


class Along(NamedTuple):
    """Blocks along an axis, and the pixels from where the first begins to where the last ends."""

    blocks: range
    begin: int
    end: int


@dataclass(frozen=True)
class Blocks:
    """Of a picture of `size`, each of size `block`, row by row and plane by plane; a last strip may be lower. `order`
    is that of bytes, as `struct` writes it."""

    size: Size
    block: Size
    tiled: bool
    planes: int
    order: str
    tags: Mapping[int, Value]

    @classmethod
    def of(cls, picture: TiffImageFile, name: str) -> Blocks:
        """Raises TooLarge where they can't be decoded one by one in bounded memory, MediaUnreadable where the file
        doesn't say where they are."""
        tags = {
            tag: _value(picture.tag_v2[tag])
            for tag in (*KEPT, ORIENTATION, *_LAYOUT)
            if tag in picture.tag_v2
        }
        width, height = picture.size
        tiled = TILES in tags
        rows = min(_number(tags, STRIP_HEIGHT, height), height)
        block = Size(_number(tags, TILE_HEIGHT), _number(tags, TILE_WIDTH)) if tiled else Size(rows, width)
        planes = _number(tags, SAMPLES, 1) if _number(tags, PLANAR, 1) == 2 else 1
        order = "<" if picture.tag_v2.prefix == b"II" else ">"
        found = cls(Size(height, width), block, tiled, planes, order, tags)
        found._check(name)
        return found

    @property
    def across(self) -> int:
        return -(-self.size.width // self.block.width)

    @property
    def down(self) -> int:
        return -(-self.size.height // self.block.height)

    def rows(self, y0: int, y1: int) -> Along:
        """Those that hold these pixels."""
        first, last = y0 // self.block.height, (y1 - 1) // self.block.height + 1
        end = last * self.block.height if self.tiled else min(last * self.block.height, self.size.height)
        return Along(range(first, last), first * self.block.height, end)

    def columns(self, x0: int, x1: int) -> Along:
        first, last = x0 // self.block.width, (x1 - 1) // self.block.width + 1
        return Along(range(first, last), first * self.block.width, last * self.block.width)

    def part(self, file: IO[bytes], rows: Along, columns: Along, name: str) -> BytesIO:
        """These blocks as a TIFF of their own. Raises MediaUnreadable."""
        numbers = [
            plane * self.across * self.down + row * self.across + column
            for plane in range(self.planes)
            for row in rows.blocks
            for column in columns.blocks
        ]
        offsets, lengths = (self._numbers(tag) for tag in self._where)
        if sum(lengths[n] for n in numbers) > MOST_BYTES * self.block.height * self.block.width * len(
            numbers
        ):
            raise MediaUnreadable(f"{name} is damaged: parts of it are longer than their pixels can be.")
        blocks = []
        for number in numbers:
            file.seek(offsets[number])
            block = file.read(lengths[number])
            blocks.append(block + bytes(len(block) % 2))
        own: dict[int, Value] = {
            WIDTH: (columns.end - columns.begin,),
            HEIGHT: (rows.end - rows.begin,),
            **({TILE_WIDTH: (self.block.width,), TILE_HEIGHT: (self.block.height,)} if self.tiled else {}),
            **({} if self.tiled else {STRIP_HEIGHT: (self.block.height,)}),
        }
        return _written(
            self.order, {tag: self.tags[tag] for tag in KEPT if tag in self.tags} | own, self._where, blocks
        )

    @property
    def _where(self) -> tuple[int, int]:
        """The tags that say where blocks are, and how many bytes they have."""
        return (TILES, TILE_BYTES) if self.tiled else (STRIPS, STRIP_BYTES)

    def _numbers(self, tag: int) -> tuple[int, ...]:
        value = self.tags.get(tag, ())
        return () if isinstance(value, bytes) else value

    def _check(self, name: str) -> None:
        if _number(self.tags, COMPRESSION, 1) not in READ_IN_PARTS or _number(self.tags, ORIENTATION, 1) != 1:
            raise TooLarge(
                f"{name} is a TIFF that can't be read in parts, and so large a one can't be read otherwise: save it "
                "again in tiles, upright, with LZW or Deflate."
            )
        height, width = self.block
        if (
            not height
            or not width
            or any(len(self._numbers(tag)) < self.across * self.down * self.planes for tag in self._where)
        ):
            raise MediaUnreadable(f"{name} is damaged: it doesn't say where all of its pixels are.")
        if height * width > MOST_PIXELS or self.across * self.down * height * width > PADDED * (
            self.size.height * self.size.width + MOST_PIXELS
        ):
            raise TooLarge(
                f"{name} is a TIFF in {'tiles' if self.tiled else 'strips'} of {width} x {height} pixels, and they are "
                f"read one by one up to {MOST_PIXELS:,} pixels: save it again in tiles of 256 x 256."
            )


_LAYOUT = (STRIPS, STRIP_HEIGHT, STRIP_BYTES, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES)


def _value(value: Any) -> Value:
    if isinstance(value, bytes):
        return value
    return tuple(int(one) for one in (value if isinstance(value, tuple) else (value,)))


def _number(tags: Mapping[int, Value], tag: int, otherwise: int = 0) -> int:
    value = tags.get(tag, ())
    return otherwise if isinstance(value, bytes) or not value else value[0]


def _written(order: str, tags: dict[int, Value], where: tuple[int, int], blocks: list[bytes]) -> BytesIO:
    """A TIFF of these blocks; what doesn't fit into its directory stands between them and it."""
    offsets, at = [], 8
    for block in blocks:
        offsets.append(at)
        at += len(block)
    tags = tags | dict(zip(where, (tuple(offsets), tuple(map(len, blocks))), strict=True))
    directory, beside = [struct.pack(f"{order}H", len(tags))], []
    for tag, value in sorted(tags.items()):
        kind, count, content = _packed(order, value)
        if len(content) > 4:
            beside.append(content + bytes(len(content) % 2))
            content, at = struct.pack(f"{order}I", at), at + len(beside[-1])
        directory.append(struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0"))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", at)
    return BytesIO(b"".join(chain([head], blocks, beside, directory, [bytes(4)])))


def _packed(order: str, value: Value) -> tuple[int, int, bytes]:
    """Type, count and bytes of a tag's value."""
    if isinstance(value, bytes):
        return UNDEFINED, len(value), value
    kind, letter = (SHORT, "H") if max(value, default=0) < 1 << 16 else (LONG, "I")
    return kind, len(value), struct.pack(f"{order}{len(value)}{letter}", *value)
