"""A mask as a PNG, opaque white where the object is and transparent elsewhere, one bit a pixel (ISO/IEC 15948)."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from label_studio_sam2.types import Bitmap

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ONE_BIT_GREY = bytes((1, 0, 0, 0, 0))
"""Bit depth, colour type, and the only compression, filter method and interlacing that there are for it here."""

BLACK_IS_TRANSPARENT = b"\x00\x00"
FAST = 1
"""zlib's level: of runs of bits a higher one makes little less."""


def encode(bitmap: Bitmap) -> bytes:
    """The PNG's bytes, of a mask (H, W)."""
    height, width = bitmap.shape
    rows = np.pad(np.packbits(bitmap, axis=1), ((0, 0), (1, 0)))  # each begins with its filter: none
    return SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">II", width, height) + ONE_BIT_GREY),
            _chunk(b"tRNS", BLACK_IS_TRANSPARENT),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), FAST)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
