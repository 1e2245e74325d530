"""`serve`: uvicorn around the application."""

from __future__ import annotations

import os
import signal
import socket
from threading import Timer

import uvicorn

from label_studio_sam2.context import Context
from label_studio_sam2.errors import NotReady, WrongModel
from label_studio_sam2.server import connections, logs
from label_studio_sam2.server.allocator import keep_freed_memory
from label_studio_sam2.server.app import create_app
from label_studio_sam2.settings import Settings

GRACE_SECONDS = 100
"""How long a running answer may take to finish after a stop was asked for: Label Studio's own patience."""

LEAVING_SECONDS = 2.0
"""For what is left then: the process's own end."""


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; a running answer is finished first.

    Raises NotReady where its address can't be listened on, and WrongModel where MODEL can never be loaded.
    """
    _check_address(settings.host, settings.port)
    logs.configure(settings.log_level)
    keep_freed_memory()
    wrong: list[WrongModel] = []

    def hopeless(error: WrongModel) -> None:
        wrong.append(error)
        server.should_exit = True

    server = Server(server_config(settings, Context(settings, hopeless=hopeless)))
    server.run()
    if wrong:
        raise wrong[0]


class Server(uvicorn.Server):
    """Ends when everything is closed, also where a thread is still in a download that notices nothing."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        leave = Timer(LEAVING_SECONDS, os._exit, [128 + signal.SIGTERM])
        leave.daemon = True
        leave.start()


def server_config(settings: Settings, context: Context | None = None) -> uvicorn.Config:
    return connections.config(
        create_app(settings, context),
        host=settings.host,
        port=settings.port,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _check_address(host: str, port: int) -> None:
    """Said in a sentence here; uvicorn would end with a line of its log."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(address)
    except OSError as error:
        raise NotReady(
            f"The service can't listen on {host}, port {port}: {error.strerror}. End what listens there, or set HOST "
            "and PORT to another address of this machine."
        ) from error
