"""Connections below HTTP's routes: bounded in number, and closed where no whole request comes."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import defaultdict
from time import monotonic
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For a request's line and headers, and for the rest of a body that was refused."""

UNFINISHED = 64
"""Connections of one address whose request hasn't come yet: of more, the oldest is closed. Those whose request is
answered don't count: all annotators may come by one Label Studio."""

TOLD_SECONDS = 60.0
"""Between two log lines about closed connections."""


def config(app: ASGIApp, **more: Any) -> uvicorn.Config:
    """Uvicorn's own access log is off: each request is logged once, with the time of its stages."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    bounded = type("Bounded", (Connection,), {"unfinished": Unfinished(), "most": max(64, files // 2)})
    return uvicorn.Config(app, http=bounded, log_config=None, access_log=False, server_header=False, **more)


class Unfinished:
    """The connections of a server that wait for a request, by address, the oldest first."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, dict[Connection, asyncio.TimerHandle]] = defaultdict(dict)
        self._closed = 0
        self._told = -TOLD_SECONDS

    def add(self, connection: Connection) -> None:
        """It waits from now on, unless it waits already; not for long."""
        waiting = self._waiting[connection.address]
        if connection not in waiting:
            waiting[connection] = connection.loop.call_later(HEAD_SECONDS, self.close, connection)
            if len(waiting) > UNFINISHED:
                self.close(next(iter(waiting)))

    def discard(self, connection: Connection) -> None:
        waiting = self._waiting[connection.address]
        if (timer := waiting.pop(connection, None)) is not None:
            timer.cancel()
        if not waiting:
            del self._waiting[connection.address]

    def close(self, connection: Connection) -> None:
        self.discard(connection)
        connection.transport.abort()
        self._closed += 1
        if monotonic() - self._told > TOLD_SECONDS:
            log.warning("%d connections were closed: no whole request came on them", self._closed)
            self._closed, self._told = 0, monotonic()


class Connection(H11Protocol):
    """One of a server's connections. `most`: all of them, with room for the files that a service has open."""

    unfinished: Unfinished
    most: int

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.unfinished.add(self)
        if len(self.connections) > self.most:
            self.unfinished.close(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.unfinished.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def _watch(self) -> None:
        """Whether a request is missing: its head, or the rest of a body that nobody reads any more."""
        theirs, ours = self.conn.their_state, self.conn.our_state
        if theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE):
            self.unfinished.add(self)
        else:
            self.unfinished.discard(self)
