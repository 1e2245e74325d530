"""A download's connections: to a checked address, or through the company's proxy, which looks names up by itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

import httpcore
import httpx

from label_studio_sam2.labelstudio.media.hosts import PORTS
from label_studio_sam2.labelstudio.media.network import Deadline, Guard, GuardedNetwork, Resolve, resolve
from label_studio_sam2.outgoing.proxies import Proxy
from label_studio_sam2.outgoing.ways import Outgoing


class Ways:
    """Of one download; a context manager, which closes them."""

    def __init__(
        self, guard: Guard, deadline: Deadline, outgoing: Outgoing, resolve: Resolve = resolve
    ) -> None:
        self._guard = guard
        self._deadline = deadline
        self._outgoing = outgoing
        self._resolve = resolve
        self._open: dict[Proxy | None, httpcore.ConnectionPool] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._open.clear()

    def to(self, url: httpx.URL) -> httpcore.ConnectionPool:
        """Where a request to this address is sent. Raises MediaRefused where it would reach a private network."""
        proxy = self.proxy(url)
        if proxy is not None:
            self._guard.check_name(url.host, url.port or PORTS.get(url.scheme, 0), self._resolve)
        if proxy not in self._open:
            self._open[proxy] = self._stack.enter_context(self._pool(proxy))
        return self._open[proxy]

    def proxy(self, url: httpx.URL) -> Proxy | None:
        return self._outgoing.proxies.way_to(url)

    def _pool(self, proxy: Proxy | None) -> httpcore.ConnectionPool:
        tls = self._outgoing.tls
        if proxy is None:
            network = GuardedNetwork(self._guard, self._deadline, self._resolve)
            return httpcore.ConnectionPool(ssl_context=tls, network_backend=network)
        address = httpx.URL(proxy.url)
        known = Guard.allowing([address.netloc.decode("ascii")])
        return httpcore.ConnectionPool(
            ssl_context=tls,
            proxy=httpcore.Proxy(
                proxy.url, auth=proxy.auth, ssl_context=tls if address.scheme == "https" else None
            ),
            network_backend=GuardedNetwork(known, self._deadline, self._resolve),
        )
