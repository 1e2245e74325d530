"""What a route does in a thread, as long as its client waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from label_studio_sam2.request import asker

T = TypeVar("T")


async def in_thread(request: Request, work: Callable[[], T], limiter: CapacityLimiter) -> T:
    """What `work` returns or raises. Where the client hangs up before it begins, or before one of its steps that looks
    (see asker.py), that raises NobodyWaits. The request's body has been read."""
    hung_up = Event()

    def looked() -> T:
        asker.check()
        return work()

    watching = asyncio.create_task(_watch(request, hung_up))
    try:
        await asyncio.sleep(0)  # it may see at once that nobody waits
        with asker.asking(hung_up):
            return await to_thread.run_sync(looked, limiter=limiter)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(request: Request, hung_up: Event) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    hung_up.set()
