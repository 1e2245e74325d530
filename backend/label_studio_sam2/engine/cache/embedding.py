"""An encoded picture as a value, and its bytes.

The bytes are a fixed prefix, a JSON header and the raw arrays one after the other:

    magic "LSS2" | version u16 | header length u16 | CRC-32 of all that follows u32 | header | arrays

Nothing in them is ever executed; whatever doesn't check out is no embedding.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.types import Size

Features = NDArray[np.float16] | NDArray[np.float32]

MAGIC = b"LSS2"
VERSION = 1
PREFIX = struct.Struct("<4sHHI")
DTYPES: dict[str, np.dtype[Any]] = {"<f2": np.dtype("<f2"), "<f4": np.dtype("<f4")}


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What a model says about one picture before anybody has asked it anything.

    `features` are its arrays, float16 or float32. SAM 2's are (C, S, S): the image embedding, then the two
    high-resolution levels from coarse to fine; at 1024 px (256, 64, 64), (64, 128, 128) and (32, 256, 256). A
    detector's are those of `words.tokens`. They are shared between threads and never written to. `size` is that of
    the upright picture, `fingerprint` the model's.
    """

    features: tuple[Features, ...]
    size: Size
    fingerprint: str

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.features)


def to_bytes(embedding: Embedding) -> bytes:
    """The embedding as bytes, its arrays copied once (8 MiB: 3 ms, of which the checksum takes 2)."""
    arrays: list[NDArray[Any]] = [
        np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for array in embedding.features
    ]
    header = json.dumps(
        {
            "arrays": [[array.dtype.str, list(array.shape)] for array in arrays],
            "size": embedding.size,
            "fingerprint": embedding.fingerprint,
        }
    ).encode()
    body: list[bytes | memoryview] = [header, *(array.reshape(-1).view(np.uint8).data for array in arrays)]
    return b"".join([PREFIX.pack(MAGIC, VERSION, len(header), _checksum(body)), *body])


def from_bytes(buffer: bytes, fingerprint: str) -> Embedding | None:
    """The embedding in these bytes, or None where they are damaged, truncated, foreign, of another version of
    this format, or of another model than `fingerprint`. Never raises.

    The arrays are copied once (1 ms): torch takes no arrays that can't be written to.
    """
    if len(buffer) < PREFIX.size:
        return None
    magic, version, length, checksum = PREFIX.unpack_from(buffer)
    body = memoryview(buffer)[PREFIX.size :]
    if magic != MAGIC or version != VERSION or length > len(body) or checksum != _checksum([body]):
        return None
    try:
        header = json.loads(bytes(body[:length]))
        if header["fingerprint"] != fingerprint:
            return None
        return Embedding(
            _arrays(header["arrays"], body[length:]), Size(*map(int, header["size"])), fingerprint
        )
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
        # a sound checksum over a header that isn't ours
        return None


def _arrays(described: Sequence[tuple[str, Sequence[int]]], content: memoryview) -> tuple[NDArray[Any], ...]:
    """Views into one copy of the content. Raises ValueError, TypeError or KeyError where it differs."""
    writable, offset = bytearray(content), 0
    arrays: list[NDArray[Any]] = []
    for dtype, shape in described:
        count: int = prod(shape)
        arrays.append(np.frombuffer(writable, DTYPES[dtype], count, offset).reshape(shape))
        offset += arrays[-1].nbytes
    if offset != len(writable):
        raise ValueError("more or less content than the header describes")
    return tuple(arrays)


def _checksum(parts: Sequence[bytes | memoryview]) -> int:
    """CRC-32: 2 ms for 8 MiB, where SHA-1 takes 5 and BLAKE2 11. Against damage, not against malice."""
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    return checksum
