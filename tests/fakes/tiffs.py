"""TIFFs in tiles, which Pillow reads but doesn't write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from label_studio_sam2.types import Pixels

DEFLATE, AS_THEY_ARE = 8, 1


def tiled(
    pixels: Pixels,
    side: int = 256,
    *,
    order: str = "<",
    compression: int = DEFLATE,
    planes: bool = False,
    orientation: int = 1,
) -> bytes:
    """A picture (H, W, 3) in square tiles; `planes`: red, green and blue each in tiles of their own."""
    height, width, channels = pixels.shape
    padded = np.pad(pixels, ((0, -height % side), (0, -width % side), (0, 0)))
    layers = [padded[..., n : n + 1] for n in range(channels)] if planes else [padded]
    tiles = [
        layer[y : y + side, x : x + side].tobytes()
        for layer in layers
        for y in range(0, height, side)
        for x in range(0, width, side)
    ]
    blocks = [zlib.compress(tile, 1) for tile in tiles] if compression == DEFLATE else tiles
    offsets = np.cumsum([8, *map(len, blocks)])[:-1].tolist()
    layout = {284: [2 if planes else 1], 274: [orientation], 259: [compression]}
    return written(order, (height, width), side, blocks, offsets, layout)


def written(
    order: str,
    shape: tuple[int, int],
    side: int,
    blocks: Sequence[bytes],
    offsets: Sequence[int],
    more: dict[int, list[int]],
) -> bytes:
    """The file of these tiles, which may lie at the same place; of each as many bytes as the block there has."""
    lengths = [len(block) for block in blocks] if len(blocks) > 1 else [len(blocks[0])] * len(offsets)
    tags = {256: [shape[1]], 257: [shape[0]], 258: [8, 8, 8], 262: [2], 277: [3], 322: [side], 323: [side]}
    tags |= {324: list(offsets), 325: lengths} | more
    body = b"".join(blocks)
    body += bytes(len(body) % 2)
    entries = b""
    for tag, values in sorted(tags.items()):
        kind, letter = (3, "H") if tag in {258, 259, 262, 274, 277, 284} else (4, "I")
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            at = struct.pack(f"{order}I", 8 + len(body))
            body, content = body + content + bytes(len(content) % 2), at
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def repeated(side: int, tile: Pixels) -> bytes:
    """A square picture of so many pixels a side, each tile of which is the same one in the file."""
    count = (side // len(tile)) ** 2
    block = zlib.compress(tile.tobytes(), 1)
    return written("<", (side, side), len(tile), [block], [8] * count, {259: [DEFLATE]})
