"""A mask as an RGBA PNG, white where the object is and transparent elsewhere, written from its runs.

An encoder for pictures has to look at every byte, 48 million of them for 12 megapixels. But a mask's rows are runs
of two byte values, and DEFLATE (RFC 1951) knows runs: a byte, then "258 bytes as the one before" so many times. With
a Huffman code in which that phrase is two zero bits, the whole stream is zeros but for two short codes a run.
PNG: ISO/IEC 15948; zlib's frame: RFC 1950.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.geometry import changes
from label_studio_sam2.types import Bitmap

Numbers = NDArray[np.int64]

LONGEST = 258
"""Bytes that one phrase can repeat."""

LENGTH_BASES = np.array(
    [*range(3, 11), *range(11, 19, 2), *range(19, 35, 4), *range(35, 67, 8), *range(67, 131, 16)]
)
LENGTH_BASES = np.append(LENGTH_BASES, [131, 163, 195, 227, 258])
LENGTH_EXTRA = np.array([0] * 8 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4 + [0])
"""RFC 1951, 3.2.5: the shortest length of each symbol from 257, and how many bits say how much longer."""

BITS = np.array([3] + [0] * 254 + [3] + [7] * 26 + [6] * 3 + [1])
"""Length of each symbol's code: the bytes 0 and 255, the end of the stream, 28 short lengths, 258."""

BYTE_BITS = 3
PHRASE_BITS = 2
END_OF_STREAM = 256

HEADER = (
    "1" + "01"  # the last block, with a code of its own
    "10111"
    + "10000"
    + "0111"  # 286 symbols, 2 distances, 18 lengths of the code that BITS is written with:
    + "000000110000000100000110000000000000000110000000000110"  # 18, 1, 3 and 6 take 3 bits, 7 takes 1
    + "101"
    + "111"
    + "1111111"
    + "111"
    + "1001011"
    + "101"  # 3, 138 and 116 times 0, 3
    + "0" * 26
    + "110" * 3
    + "100" * 3  # 26 times 7, 3 times 6, 1; and two distances of 1 bit
)
"""The bits before the first code, in the order in which they are sent."""


def encode(bitmap: Bitmap) -> bytes:
    """The PNG's bytes."""
    height, width = bitmap.shape
    ends = _ends(bitmap)
    total = height * (width * 4 + 1)
    stream = b"\x78\x01" + _deflated(ends) + struct.pack(">I", _adler32(ends, total))
    size = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _ends(bitmap: Bitmap) -> Numbers:
    """Where runs of bytes end: of zeros, of 255s, in turn. A row begins with a zero byte, its filter."""
    height, width = bitmap.shape
    row, column = np.divmod(changes(bitmap), width)
    stride = width * 4 + 1
    within = (row * stride + 1 + column * 4)[column > 0]
    left, right = np.flatnonzero(bitmap[:, 0]), np.flatnonzero(bitmap[:, -1])
    ends = np.sort(np.concatenate([within, left * stride + 1, (right + 1) * stride]))
    total = height * stride
    return ends if ends.size and ends[-1] == total else np.append(ends, total)


def _deflated(ends: Numbers) -> bytes:
    """Each run: its byte, as many whole phrases as fit, and what is left as one shorter phrase or as two bytes."""
    lengths = np.diff(ends, prepend=0)
    whole, rest = np.divmod(lengths - 1, LONGEST)
    byte = CODES[np.arange(len(ends)) % 2 * 255]
    symbol = np.searchsorted(LENGTH_BASES, np.maximum(rest, 3), side="right") - 1
    extra = rest - LENGTH_BASES[symbol]
    code_bits = BITS[257 + symbol]
    few = rest < 3
    tail = np.where(
        few, np.where(rest == 2, byte | byte << BYTE_BITS, byte), CODES[257 + symbol] | extra << code_bits
    )
    tail_bits = np.where(few, rest * BYTE_BITS, code_bits + LENGTH_EXTRA[symbol] + 1)
    spans = BYTE_BITS + whole * PHRASE_BITS + tail_bits
    starts = len(HEADER) + np.cumsum(spans) - spans
    stream = np.zeros(len(HEADER) + int(spans.sum()) + int(BITS[END_OF_STREAM]), np.uint8)
    stream[: len(HEADER)] = np.frombuffer(HEADER.encode(), np.uint8) - ord("0")
    _write(stream, starts, byte, np.full(len(ends), BYTE_BITS))
    _write(stream, starts + BYTE_BITS + whole * PHRASE_BITS, tail, tail_bits)
    _write(stream, np.array([len(stream) - 7]), CODES[[END_OF_STREAM]], BITS[[END_OF_STREAM]])
    return np.packbits(stream, bitorder="little").tobytes()


def _write(stream: NDArray[np.uint8], starts: Numbers, codes: Numbers, bits: Numbers) -> None:
    """Puts each code's bits, lowest first, at its start."""
    for bit in range(int(bits.max())):
        here = bits > bit
        stream[starts[here] + bit] = codes[here] >> bit & 1


def _codes() -> Numbers:
    """The canonical Huffman code of BITS (RFC 1951, 3.2.2), each reversed, for codes are sent from their top."""
    codes = np.zeros(len(BITS), np.int64)
    code = 0
    for length in range(1, int(BITS.max()) + 1):
        for symbol in np.flatnonzero(np.equal(BITS, length)):
            codes[symbol] = int(f"{code:0{length}b}"[::-1], 2)
            code += 1
        code <<= 1
    return codes


CODES = _codes()


def _adler32(ends: Numbers, total: int) -> int:
    """Of the bytes before compression (RFC 1950, 8.2): every 255 counts once, and once for each byte from it on."""
    starts = ends[:-1][::2]
    stops = ends[1::2]
    length = stops - starts
    once = 1 + 255 * int(length.sum())
    weighted = length * (2 * total - starts - stops + 1) // 2 % 65521
    return (total + 255 * int(weighted.sum())) % 65521 << 16 | once % 65521
