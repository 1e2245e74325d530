"""A stand-in for a running service: it answers Label Studio's health check, and says of itself what a test wants."""

from __future__ import annotations

from typing import Any

from tests.labelstudio.servers import Exchange, Site

READY: dict[str, Any] = {
    "status": "UP",
    "model_class": "SAM2",
    "model_version": "demo-0123abcd",
    "ready": True,
    "reason": None,
    "device": "cpu",
    "problems": {},
}


class RunningService(Site):
    def __init__(self, credentials: str = "") -> None:
        super().__init__(self._status)
        self.says = dict(READY)
        self._credentials = credentials

    @property
    def port(self) -> int:
        return int(self.server_port)

    @property
    def localhost(self) -> str:
        """Its address as `connect` calls it by default."""
        return f"http://localhost:{self.port}"

    def _status(self, exchange: Exchange) -> None:
        refused = exchange.path != "/health" and self._credentials
        if refused and exchange.seen.headers.get("authorization") != self._credentials:
            exchange.json(401, {"detail": "Send the user and password."})
        else:
            exchange.json(200, self.says)
