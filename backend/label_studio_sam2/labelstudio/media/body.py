"""What an answer's body is: which bytes of the medium it covers, and the bytes themselves, decoded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import httpcore
import httpx

from label_studio_sam2.errors import MediaUnavailable

INFLATE_BYTES = 1 << 20
MOST_CODINGS = 3

_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,18})")
_LENGTH = re.compile(r"\d{1,18}")
_NO_CODING = {"", "identity", "aws-chunked"}
"""What may stand in Content-Encoding and changes no byte: S3 keeps what a client's upload was framed in."""

_INFLATED = {"gzip", "x-gzip", "deflate"}


def extent(status: int, headers: httpx.Headers) -> tuple[int, int | None]:
    """Where an answer's bytes start in the medium, and the medium's whole size where it is told."""
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None:
            return 0, None
        return int(match[1]), None if match[3] == "*" else int(match[3])
    length = headers.get("content-length", "")
    return 0, int(length) if _LENGTH.fullmatch(length) and not codings(headers) else None


def told_end(headers: httpx.Headers) -> int | None:
    """The medium's size, as an answer tells it to one who asked for what comes after its end."""
    match = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
    return int(match[1]) if match else None


def codings(headers: httpx.Headers) -> list[str]:
    """What the medium's bytes are packed in, in the order in which it was done."""
    named = (name.strip() for name in headers.get("content-encoding", "").lower().split(","))
    return [name for name in named if name not in _NO_CODING]


def decoded(chunks: Iterator[bytes], packed_in: list[str], shown: str) -> Iterator[bytes]:
    """The medium's own bytes. Raises MediaUnavailable for an encoding that isn't known, and httpcore's errors where it
    is damaged."""
    for number, coding in enumerate(reversed(packed_in)):
        if coding not in _INFLATED or number == MOST_CODINGS:
            raise MediaUnavailable(
                f"{shown} is sent with the content encoding {coding[:40]}, which isn't supported."
            )
        chunks = _inflated(chunks)
    return chunks


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip and zlib, a bounded piece at a time, so that a bomb is noticed while it is still small."""
    inflater = zlib.decompressobj(wbits=47)
    try:
        for chunk in chunks:
            piece = inflater.decompress(chunk, INFLATE_BYTES)
            while piece:
                yield piece
                piece = inflater.decompress(inflater.unconsumed_tail, INFLATE_BYTES)
    except zlib.error as problem:
        raise httpcore.RemoteProtocolError("damaged content encoding") from problem
    if not inflater.eof:
        raise httpcore.RemoteProtocolError("the content encoding ends early")
