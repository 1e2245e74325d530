"""What happens to every request before it reaches its route: an id, a prefix, a password, a log line, a metric."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
import uuid
from collections.abc import Mapping
from time import perf_counter

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from label_studio_sam2.logs import request_id
from label_studio_sam2.metrics import Metrics
from label_studio_sam2.timing import collecting

log = logging.getLogger(__name__)

OPEN_ROUTES = frozenset({"/health", "/ready", "/webhook"})
"""Probes carry no password, and neither do Label Studio's annotation webhooks (measured on 1.23.2)."""

WIRE_ROUTE = re.compile(r"^/.+(/(?:health|setup|predict|webhook|train|versions))/?$")
"""Label Studio appends the route to the URL it was given and keeps the URL's own path."""


class Requests:
    """ASGI middleware. `user` empty: no password is asked for."""

    def __init__(self, app: ASGIApp, *, user: str, password: str, metrics: Metrics) -> None:
        self._app = app
        self._credentials = f"{user}:{password}".encode() if user else None
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = WIRE_ROUTE.sub(r"\1", scope["path"])
        token = request_id.set(_header(scope, b"x-request-id")[:64] or uuid.uuid4().hex[:12])
        started = perf_counter()
        status = 500

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.get().encode()),
                    (b"server-timing", _server_timing(stages)),
                ]
            await send(message)

        try:
            with collecting() as stages:
                if self._credentials and scope["path"] not in OPEN_ROUTES and not self._known(scope):
                    await _unauthorized(named)
                else:
                    await self._app(scope, receive, named)
        finally:
            self._report(scope, status, perf_counter() - started, stages)
            request_id.reset(token)

    def _known(self, scope: Scope) -> bool:
        """Compared in constant time, so that the answer's delay tells nothing of the password."""
        kind, _, encoded = _header(scope, b"authorization").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if kind.lower() == "basic" else b""
        except binascii.Error:
            given = b""
        return hmac.compare_digest(given, self._credentials or b"")

    def _report(self, scope: Scope, status: int, seconds: float, stages: dict[str, float]) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(route, status, {"total": seconds} | stages)
        quiet = route in {"/health", "/ready", "/metrics"} and status < 400
        milliseconds = {name: round(1000 * value, 2) for name, value in stages.items()}
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={"ms": round(1000 * seconds, 2), "stages_ms": milliseconds},
        )


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _server_timing(stages: Mapping[str, float]) -> bytes:
    """The time of each stage, as browsers show it (W3C Server Timing; milliseconds)."""
    return ", ".join(f"{name};dur={1000 * seconds:.1f}" for name, seconds in stages.items()).encode()


async def _unauthorized(send: Send) -> None:
    body = orjson.dumps(
        {
            "detail": "Send the user and password that BASIC_AUTH_USER and BASIC_AUTH_PASS name.",
            "error": "Unauthorized",
        }
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"www-authenticate", b'Basic realm="label-studio-sam2"'),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
