"""Two replicas of the service, one Redis, and a balancer that sends each request to the other one in turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import httpx
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes.project_server import ProjectServer
from tests.fakes.servers import LEGACY
from tests.fakes.settings import settings


class RoundRobin(httpx.BaseTransport):
    """Sends requests to these addresses in turn."""

    def __init__(self, *addresses: str) -> None:
        self._turns = cycle(map(httpx.URL, addresses))
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = next(self._turns)
        request.url = request.url.copy_with(host=address.host, port=address.port)
        return self._transport.handle_request(request)

    def close(self) -> None:
        self._transport.close()


@contextmanager
def asking(*addresses: str) -> Iterator[httpx.Client]:
    """A client of one replica, or of several in turn."""
    with httpx.Client(
        base_url="http://balancer", transport=RoundRobin(*addresses), timeout=60, trust_env=False
    ) as client:
        yield client


@dataclass(frozen=True)
class Pair:
    """Two replicas, each by itself and `balanced` in turns; and the Label Studio that they are connected to."""

    site: ProjectServer
    first: httpx.Client
    second: httpx.Client
    balanced: httpx.Client

    def jobs(self, kind: str = "") -> list[dict[str, Any]]:
        """Of both, as the first one knows them."""
        return [job for job in self.first.get("/jobs").json()["jobs"] if kind in job["kind"]]

    def idle(self) -> bool:
        """Whether neither does anything."""
        shown = (client.get("/jobs").json()["jobs"] for client in (self.first, self.second))
        return all(job["finished"] for jobs in shown for job in jobs)


@contextmanager
def pair(redis_url: str, site: ProjectServer, **given: Any) -> Iterator[Pair]:
    """Two with these settings, and unless they say otherwise with a key."""
    connected = {"label_studio_url": site.url, "label_studio_api_key": SecretStr(LEGACY)}
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(running(settings(**({"redis_url": redis_url} | connected | given))))
            for _ in range(2)
        )
        yield Pair(
            site, *(stack.enter_context(asking(*each)) for each in ((first,), (second,), (first, second)))
        )
