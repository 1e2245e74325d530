"""`serve`: uvicorn around the application."""

from __future__ import annotations

import uvicorn

from label_studio_sam2 import logs
from label_studio_sam2.app import create_app
from label_studio_sam2.settings import Settings

GRACE_SECONDS = 100
"""How long a running answer may take to finish after a stop was asked for: Label Studio's own patience."""


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; a running answer is finished first."""
    logs.configure(settings.log_level)
    uvicorn.Server(server_config(settings)).run()


def server_config(settings: Settings) -> uvicorn.Config:
    """Uvicorn's own access log is off: each request is logged once, with the time of its stages."""
    return uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
