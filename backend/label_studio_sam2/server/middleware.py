"""What happens to every request before it reaches its route, and after: an id, a prefix, a guard, a log line, a metric,
and one place where what nobody expected ends."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from label_studio_sam2.errors import known
from label_studio_sam2.request.timing import collecting
from label_studio_sam2.server import answers
from label_studio_sam2.server.guard import Guard, header
from label_studio_sam2.server.logs import request_id
from label_studio_sam2.server.metrics import Metrics

log = logging.getLogger(__name__)

WIRE_ROUTE = re.compile(r"^/.+(/(?:health|setup|predict|webhook|train|versions))/?$")
"""Label Studio appends the route to the URL it was given and keeps the URL's own path."""

NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9._:-]")
ID_CHARACTERS = 64

HUNG_UP = 499

SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""For what has none of its own: a page brings its policy."""


class Requests:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, guard: Guard, metrics: Metrics) -> None:
        self._app = app
        self._guard = guard
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Every route that answers GET answers HEAD, from which the server leaves the body out.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        inner = {**scope, "path": WIRE_ROUTE.sub(r"\1", scope["path"]), "method": method}
        given = NOT_IN_AN_ID.sub("", header(scope, b"x-request-id")[:ID_CHARACTERS])
        token = request_id.set(given or uuid.uuid4().hex[:12])
        started = perf_counter()
        status = 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(message["headers"], stages)
            await send(message)

        try:
            with collecting() as stages:
                try:
                    await self._answer(inner, receive, named)
                except ClientDisconnect:
                    status = HUNG_UP
                except Exception as error:
                    log.exception("unexpected error")
                    if not status:
                        await answers.of(known(error))(inner, receive, named)
        finally:
            self._report(
                {**inner, "method": scope["method"]}, status or 500, perf_counter() - started, stages
            )
            request_id.reset(token)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self._guard.refusal(scope)
        await (answers.of(refusal) if refusal else self._app)(scope, receive, send)

    def _report(self, scope: Scope, status: int, seconds: float, stages: Mapping[str, float]) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(route, status, {"total": seconds, **stages})
        quiet = route in {"/health", "/ready", "/metrics"} and status < 400
        milliseconds = {name: round(1000 * value, 2) for name, value in stages.items()}
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d",
            scope["method"],
            scope["path"][:200],
            status,
            extra={"ms": round(1000 * seconds, 2), "stages_ms": milliseconds},
        )


def _completed(headers: list[tuple[bytes, bytes]], stages: Mapping[str, float]) -> list[tuple[bytes, bytes]]:
    there = {name.lower() for name, _ in headers}
    return [
        *headers,
        *((name, value) for name, value in SAFE_HEADERS.items() if name not in there),
        (b"x-request-id", request_id.get().encode()),
        (b"server-timing", _server_timing(stages)),
    ]


def _server_timing(stages: Mapping[str, float]) -> bytes:
    """The time of each stage, as browsers show it (W3C Server Timing; milliseconds)."""
    return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in stages.items()).encode()
