"""Connections to hosts that a task's author chose: to public addresses only, and for no longer than agreed.

A name is resolved once, its addresses are checked, and the connection goes to a checked address, so that a
name which resolves differently a moment later (DNS rebinding) gains nothing. TLS still verifies the name.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network

import httpcore

from label_studio_sam2.errors import MediaRefused

Resolve = Callable[[str, int], list[str]]
"""Host name and port to IP addresses; raises OSError."""

INTERNAL = (
    ip_network("168.63.129.16/32"),  # public by its number, yet Azure's channel to every virtual machine
    ip_network("192.0.0.0/24"),  # IETF protocol assignments; Oracle Cloud's metadata are at .192
    ip_network("192.88.99.0/24"),  # relays of 6to4
    ip_network("192.31.196.0/24"),  # AS112
    ip_network("192.175.48.0/24"),
    ip_network("2620:4f:8000::/48"),
    ip_network("192.52.193.0/24"),  # automatic multicast tunneling
    ip_network("2001::/23"),  # IETF protocol assignments: Teredo, AS112, tunnels, benchmarks, identifiers
    ip_network("100::/32"),  # discard and dummy prefixes
    ip_network("5f00::/16"),  # segment routing
    ip_network("3fff::/20"),  # documentation
)
"""Not of the open internet by IANA's registries, though Python's `is_global` (at least up to 3.11.9) says so."""

PRIVATE_NAMES = (".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp", ".private", ".localhost")
"""Endings of names that no public address has."""

NAT64 = IPv6Network("64:ff9b::/96")

_ALLOWED = re.compile(r"(?:https?://)?(\[[^\]]+\]|[^:/\[\]]+)(?::(\d+))?/?")


def resolve(host: str, port: int) -> list[str]:
    """The system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, also by the IPv4 address that an IPv6 one carries."""
    ip: IPv4Address | IPv6Address = ipaddress.ip_address(address)
    if isinstance(ip, IPv6Address):
        carried = _carried(ip)
        if carried is not None:
            return is_public(str(carried))
        if ip.is_site_local:
            return False
    named = any(ip in network for network in INTERNAL)
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not named


def _carried(ip: IPv6Address) -> IPv4Address | None:
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


@dataclass(frozen=True)
class Guard:
    """Which hosts may be connected to at a private address: those that the admin named."""

    named: frozenset[tuple[str, int | None]]

    @classmethod
    def allowing(cls, hosts: Collection[str]) -> Guard:
        """From entries such as `minio`, `minio:9000`, `10.0.0.5` or `[fd00::5]:9000`."""
        return cls(frozenset(_host_and_port(entry) for entry in hosts))

    def and_origin(self, origin: tuple[str, str, int] | None) -> Guard:
        """With Label Studio's own host and port, wherever they are."""
        return Guard(self.named | {(_plain(origin[1]), origin[2])}) if origin else self

    def names(self, host: str, port: int) -> bool:
        host = _plain(host)
        return (host, port) in self.named or (host, None) in self.named

    def addresses(self, host: str, port: int, found: Iterable[str]) -> list[str]:
        """Those of a host's addresses that may be connected to; MediaRefused where none is left."""
        if self.names(host, port):
            return list(found)
        public = [address for address in found if is_public(address)]
        if not public:
            raise _refused(host)
        return public

    def check_name(self, host: str, port: int, resolve: Resolve) -> None:
        """For a host that a proxy looks up. Raises MediaRefused where it is known here to be private; where no address
        is found here, as behind many proxies, by its name."""
        if self.names(host, port):
            return
        try:
            found = resolve(host, port)
        except (OSError, UnicodeError):
            found = []
        name = _plain(host)
        if not all(is_public(address) for address in found) or (
            not found and ("." not in name or name.endswith(PRIVATE_NAMES))
        ):
            raise _refused(host)


def _refused(host: str) -> MediaRefused:
    return MediaRefused(
        f"{host} is at a private address, from which media are not fetched: if this host is meant, "
        f"add {host} to MEDIA_ALLOWED_HOSTS."
    )


def _host_and_port(entry: str) -> tuple[str, int | None]:
    match = _ALLOWED.fullmatch(entry.strip())
    if match is None:
        return _plain(entry.strip()), None
    return _plain(match[1]), int(match[2]) if match[2] else None


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


@dataclass(frozen=True)
class Limits:
    """How long one download may take. `slowest` is in bytes a second, on average after `patience` seconds."""

    connect: float = 5.0
    read: float = 20.0
    patience: float = 30.0
    slowest: float = 50_000.0
    total: float = 1800.0


LIMITS = Limits()


@dataclass
class Deadline:
    """Runs down while a download stands or crawls; every byte that arrives moves it, up to the total."""

    limits: Limits
    now: Callable[[], float] = time.monotonic
    received: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    def left(self) -> float:
        """Seconds; zero or less when the download has to end."""
        allowed = min(self.limits.total, self.limits.patience + self.received / self.limits.slowest)
        return allowed - (self.now() - self.started)


class GuardedNetwork(httpcore.NetworkBackend):
    """httpcore's way to the network, with a guard at the door and a deadline on every read and write."""

    def __init__(self, guard: Guard, deadline: Deadline, resolve: Resolve = resolve) -> None:
        self._guard = guard
        self._deadline = deadline
        self._resolve = resolve
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as problem:
            raise httpcore.ConnectError(f"the host name {host} can't be resolved") from problem
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._guard.addresses(host, port, found):
            try:
                stream = self._sockets.connect_tcp(
                    address, port, _shorter(timeout, self._deadline), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                failure = problem
            else:
                return _TimedStream(stream, self._deadline)
        raise failure


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _shorter(timeout, self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _shorter(timeout, self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _shorter(timeout, self._deadline))
        return _TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _shorter(timeout: float | None, deadline: Deadline) -> float:
    left = deadline.left()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for this download is over")
    return left if timeout is None else min(timeout, left)
