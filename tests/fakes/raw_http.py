"""HTTP by hand, for what no client library sends: half requests, two lengths, odd headers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx


def connected(address: str) -> socket.socket:
    url = httpx.URL(address)
    return socket.create_connection((url.host, url.port or 80), timeout=30)


@contextmanager
def half_sent(address: str, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """So many connections on each of which this was sent, and no more."""
    sockets = [connected(address) for _ in range(count)]
    try:
        for each in sockets:
            each.sendall(sent)
        yield sockets
    finally:
        for each in sockets:
            each.close()


def status(address: str, sent: bytes) -> int:
    """Of the answer to these bytes."""
    with connected(address) as each:
        each.sendall(sent)
        return int(each.recv(64).split()[1])


def closed(each: socket.socket) -> bool:
    """Whether the other side has closed the connection by now."""
    each.setblocking(False)
    try:
        return each.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
