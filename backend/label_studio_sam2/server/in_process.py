"""A service on a free port inside this process, for as long as a block runs: what `demo` and the tests talk to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import httpx
import uvicorn

from label_studio_sam2.context import Context
from label_studio_sam2.errors import NotReady
from label_studio_sam2.server import connections
from label_studio_sam2.server.app import create_app
from label_studio_sam2.settings import Settings

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 120


@contextmanager
def running(settings: Settings, *, ready: bool = True, context: Context | None = None) -> Iterator[str]:
    """The address of a service with these settings (host and port are chosen here), once it is ready.

    Raises NotReady with the service's own reason.
    """
    # With its protocol named, asyncio sends small answers at once (TCP_NODELAY) instead of 40 ms later.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((LOOPBACK, 0))
        server = uvicorn.Server(connections.config(create_app(settings, context), lifespan="on"))
        thread = Thread(target=server.run, args=([listener],), name="service")
        thread.start()
        try:
            address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
            _wait(address + ("/ready" if ready else "/health"))
            yield address
        finally:
            server.should_exit = True
            thread.join()


def _wait(url: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    reason = "it doesn't answer"
    with httpx.Client(trust_env=False) as client:
        while monotonic() < deadline:
            try:
                answer = client.get(url)
            except httpx.TransportError as error:
                reason = str(error)
            else:
                if answer.is_success:
                    return
                reason = answer.json()["detail"]
            sleep(POLL_SECONDS)
    raise NotReady(f"The service wasn't ready within {PATIENCE_SECONDS} seconds: {reason}")
