"""Requests' bodies: bounded in bytes and time as they come, all together and each; their JSON bounded in depth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import numpy as np
import orjson
from anyio import move_on_after
from fastapi import Request
from starlette.requests import ClientDisconnect

from label_studio_sam2.errors import Busy, NotJson, RequestError, TooLarge, TooSlow

SILENCE_SECONDS = 10.0
"""Without a byte of a body that was announced."""

BODY_SECONDS = 100.0
"""For a whole body: Label Studio's own patience."""

DEPTH = 128
"""Of lists and objects in each other; Label Studio's own are 10 deep."""

CONTAINERS = 100_000
BYTES_EACH = 12
"""A body may have so many lists and objects, and another one for every so many bytes. Parsing takes the interpreter
for itself, and so long for each; the shortest vertex of a polygon has 12 bytes."""

NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class Room:
    """For bodies of at most `each` bytes, and of at most `together` while their requests are handled."""

    def __init__(self, each: int, together: int) -> None:
        self._each = each
        self._together = together
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytearray]:
        """The request's body, which takes its room until the block ends. Raises TooLarge, TooSlow, Busy, NotJson,
        RequestError, and ClientDisconnect."""
        self._look_at(request)
        content = bytearray()
        try:
            async for chunk in _chunks(request):
                content += chunk
                self._held += len(chunk)
                if len(content) > self._each:
                    raise self._too_large()
                if self._held > self._together:
                    raise Busy(
                        "The requests that are handled just now take all the room there is. Try again soon."
                    )
            yield content
        finally:
            self._held -= len(content)

    def _look_at(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not kind.endswith("+json"):
            raise NotJson("Send the request's body as JSON, with the header Content-Type: application/json.")
        length = request.headers.get("content-length")
        if length is not None and "transfer-encoding" in request.headers:
            raise RequestError("The request has both Content-Length and Transfer-Encoding. Send one of them.")
        if int(length or 0) > self._each:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The request's body has more than {self._each >> 20} MiB. Send fewer tasks at once.")


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    until, more = monotonic() + BODY_SECONDS, True
    while more:
        with move_on_after(min(SILENCE_SECONDS, until - monotonic())) as patience:
            message = await request.receive()
        if patience.cancelled_caught:
            raise TooSlow(
                f"The request's body stopped for {SILENCE_SECONDS:.0f} s, or took more than {BODY_SECONDS:.0f} s. "
                "Send all of it, or fewer tasks at once."
            )
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        yield message.get("body", b"")


def loads(body: bytearray) -> dict[str, Any]:
    """The body's JSON object. Raises RequestError."""
    _make_sure_of_shape(body)
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request's body is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise RequestError("The request's body must be a JSON object.")
    return content


def _make_sure_of_shape(body: bytearray) -> None:
    """Raises RequestError for JSON that is nested too deeply, or made of next to nothing else."""
    brackets = body.translate(
        None, NO_BRACKETS
    )  # those in texts too: a text of hundreds is no label, and no address
    opened = brackets.count(b"[") + brackets.count(b"{")
    if opened > CONTAINERS + len(body) // BYTES_EACH:
        raise RequestError(
            "The request's body has too many lists and objects for its size. Send fewer tasks at once."
        )
    steps = (np.frombuffer(brackets, np.uint8) & 2).astype(
        np.int8
    ) - 1  # the bit that "[" and "{" have and "]" not
    if steps.cumsum(dtype=np.int32).max(initial=0) > DEPTH:
        raise RequestError(f"The request's body is nested more than {DEPTH} deep. Send flatter JSON.")
