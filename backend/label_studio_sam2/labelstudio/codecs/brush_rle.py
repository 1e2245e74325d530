"""The run-length code of brush regions, byte for byte as label-studio-sdk writes it, without its loop over runs.

The mask's pixels are repeated four times (RGBA; the editor looks at alpha), then packed as thi.ng/rle-pack does:
32 bits number of bytes, 5 bits word size - 1, four times 4 bits class size - 1; then for each run 1 bit "is a run",
2 bits class, the class's number of bits for length - 1, 8 bits value. A code without the run bit holds that many
values one by one. Zeros fill the last byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import changes
from label_studio_sam2.types import Bitmap, Size

CHANNELS = 4
WORD_BITS = 8
CLASS_BITS = np.array([3, 4, 8, 16])
LONGEST = 1 << 16
HEADER_BITS = 32 + 5 + 4 * 4


def encode(bitmap: Bitmap) -> list[int]:
    """The bytes of `label_studio_sdk.converter.brush.mask2rle(bitmap * 255)`."""
    lengths, values = _runs(bitmap)
    codes, bits = _codes(lengths, values)
    packed: list[int] = _packed(_header(bitmap.size * CHANNELS), codes, bits).tolist()
    return packed


def _runs(bitmap: Bitmap) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Lengths in bytes, none above LONGEST, and values, of the runs in reading order."""
    ends = np.append(changes(bitmap), bitmap.size)
    lengths = np.diff(ends, prepend=0) * CHANNELS
    values = (np.arange(len(ends)) % 2 == 1) ^ bitmap[0, 0]
    pieces = (lengths + LONGEST - 1) // LONGEST
    last = lengths - (pieces - 1) * LONGEST
    every = np.full(int(pieces.sum()), LONGEST)
    every[np.cumsum(pieces) - 1] = np.where(pieces > 1, -last, last)
    return every, np.repeat(values, pieces)


def _codes(
    lengths: NDArray[np.int64], values: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Each run's code, left-aligned in 32 bits, and how many of them it has.

    A negative length is the rest of a run that was too long for one code: the SDK gives it the widest class.
    """
    count = np.abs(lengths)
    widest = (lengths < 0) | (count > 256)
    kind = np.where(widest, 3, (count > 8).astype(np.int64) + (count > 16))
    size = CLASS_BITS[kind]
    bits = 3 + size + WORD_BITS
    code = (((4 + kind) << size) + count - 1 << WORD_BITS) + np.where(values, 255, 0)
    return (code << (32 - bits)).astype(np.uint32), bits


def _header(count: int) -> NDArray[np.uint8]:
    sizes = "".join(f"{bits - 1:04b}" for bits in CLASS_BITS)
    return np.frombuffer(f"{count:032b}{WORD_BITS - 1:05b}{sizes}".encode(), np.uint8) - ord("0")


def _packed(
    header: NDArray[np.uint8], codes: NDArray[np.uint32], bits: NDArray[np.int64]
) -> NDArray[np.uint8]:
    every = np.unpackbits(codes.astype(">u4").view(np.uint8)).reshape(-1, 32)
    stream = np.concatenate([header, every[np.arange(32) < bits[:, None]]])
    return np.packbits(np.append(stream, np.zeros(8 - len(stream) % 8, np.uint8)))


def decode(rle: Sequence[int], size: Size) -> Bitmap:
    """The mask, True where alpha is not 0, of any encoder's code for a picture of this size.

    Raises PromptError where the code is damaged or was made for another number of pixels.
    """
    data = _bytes(rle)
    count = int.from_bytes(data[:4])
    if len(data) * 8 <= HEADER_BITS or data[4] >> 3 != WORD_BITS - 1:
        raise PromptError(
            "The brush mask's RLE has no valid header. Send the list as Label Studio exported it."
        )
    if count != size.height * size.width * CHANNELS:
        raise PromptError(
            f"The brush mask's RLE holds {count // CHANNELS} pixels, but the picture has {size.width} x {size.height}. "
            "Send the mask that belongs to this picture."
        )
    lengths, values = _read(data, count)
    # alpha is the last of a pixel's four bytes: a run ending at byte n covers the alphas of the first n // 4 pixels
    pixels = np.diff(np.minimum(np.cumsum(lengths), count) // CHANNELS, prepend=0)
    return np.repeat(np.array(values) != 0, pixels).reshape(size)


def _bytes(rle: Sequence[int]) -> bytes:
    try:
        return bytes(iter(rle))  # of a number alone, bytes() would make so many zeros
    except (TypeError, ValueError) as error:
        raise PromptError("The brush mask's RLE must be a list of whole numbers from 0 to 255.") from error


def _read(data: bytes, count: int) -> tuple[list[int], list[int]]:
    """Lengths and values of the runs. Codes can only be read one after the other: each says how long it is."""
    sizes = [(int.from_bytes(data[4:7]) >> shift & 15) + 1 for shift in (15, 11, 7, 3)]
    lengths: list[int] = []
    values: list[int] = []
    at, end, total = HEADER_BITS, len(data) * 8, 0
    while total < count and at < end:
        window = int.from_bytes(data[at >> 3 : (at >> 3) + 5].ljust(5, b"\0")) >> 13 - (at & 7) & 0x7FFFFFF
        size = sizes[window >> 24 & 3]
        length = (window >> 24 - size & (1 << size) - 1) + 1
        total += length
        if window >> 26:
            at += 3 + size + WORD_BITS
            lengths.append(length)
            values.append(window >> 16 - size & 255)
        else:
            at += 3 + size
            words = int.from_bytes(data[at >> 3 : (at >> 3) + length + 1]) >> 8 - (at & 7)
            at += length * WORD_BITS
            lengths += [1] * length
            values += (words & (1 << 8 * length) - 1).to_bytes(length)
    if total < count or at > end:
        raise PromptError("The brush mask's RLE ends before its last pixel. Send the whole list.")
    return lengths, values
