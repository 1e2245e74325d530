"""A stand-in for a running service: it answers Label Studio's health check, and says of itself what a test wants."""

from __future__ import annotations

from typing import Any

from tests.fakes.servers import Exchange, Site

FINE = [
    {"name": name, "state": "ok", "sentence": sentence, "remedy": "", "project": None}
    for name, sentence in (
        ("checkpoint", "The demo model is in the package."),
        ("device", "DEVICE=auto is cpu."),
        ("redis", "REDIS_URL isn't set: embeddings are kept in memory only."),
        ("disk", "20.0 GiB are free for /model_cache."),
        ("Label Studio", "Label Studio 1.23.2 answers at http://label-studio:8080."),
    )
]
"""What it has found out about itself."""
READY: dict[str, Any] = {
    "status": "UP",
    "model_class": "SAM2",
    "model_version": "demo-0123abcd",
    "ready": True,
    "reason": None,
    "device": "cpu",
    "problems": {},
    "model": "demo",
    "checks": {"found": FINE, "at": "2026-01-01T00:00:00+00:00", "running": False},
}


class RunningService(Site):
    def __init__(self, credentials: str = "") -> None:
        super().__init__(self._status)
        self.says = dict(READY)
        self.looks_for = 0
        """How often it says that its first look is still going on."""
        self._credentials = credentials

    @property
    def port(self) -> int:
        return int(self.server_port)

    @property
    def localhost(self) -> str:
        """Its address as `connect` calls it by default."""
        return f"http://localhost:{self.port}"

    def finds(self, found: list[dict[str, Any]]) -> None:
        self.says["checks"] = READY["checks"] | {"found": found}

    def _status(self, exchange: Exchange) -> None:
        refused = exchange.path != "/health" and self._credentials
        if refused and exchange.seen.headers.get("authorization") != self._credentials:
            exchange.json(401, {"detail": "Send the user and password."})
        elif exchange.path == "/" and self.looks_for > 0:
            self.looks_for -= 1
            exchange.json(200, self.says | {"checks": {"found": [], "at": None, "running": True}})
        else:
            exchange.json(200, self.says)
