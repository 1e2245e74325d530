"""HTTP_PROXY, HTTPS_PROXY and NO_PROXY: which requests go through the company's proxy, and which never do."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

import httpx

from label_studio_sam2.errors import SettingError

PORTS = {"http": 80, "https": 443}
EVERYTHING = "*"

_ENTRY = re.compile(r"(?:https?://)?(\[[^\]]+\]|[^:/\[\]]+)(?::(\d+))?/?")


class Proxy(NamedTuple):
    """`url` is http:// or https://, and holds no password; `auth` is user and password, or None."""

    variable: str
    url: str
    auth: tuple[str, str] | None

    @property
    def shown(self) -> str:
        """For people: where it is, and which variable says so."""
        return f"the proxy {httpx.URL(self.url).netloc.decode('ascii')} ({self.variable})"


class Exempt(NamedTuple):
    """One entry of NO_PROXY. `host` is a name, which stands for those below it too, or a network."""

    host: str | IPv4Network | IPv6Network
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        if self.port not in {None, port}:
            return False
        if isinstance(self.host, str):
            return self.host in {EVERYTHING, host} or host.endswith("." + self.host)
        address = _address(host)
        return address is not None and address in self.host


@dataclass(frozen=True, slots=True)
class Proxies:
    """By the scheme of what is asked for."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    exempt: tuple[Exempt, ...] = ()

    @classmethod
    def of(cls, http: str, https: str, exempt: Collection[str]) -> Proxies:
        """From the three variables' values, empty where one isn't set. Raises SettingError."""
        given = {"http": ("HTTP_PROXY", http), "https": ("HTTPS_PROXY", https)}
        proxies = {scheme: _proxy(*one) for scheme, one in given.items() if one[1]}
        return cls(proxies, tuple(_exempt(entry) for entry in sorted(exempt) if entry.strip()))

    def way_to(self, url: httpx.URL) -> Proxy | None:
        """The proxy that a request to this address goes through; None where it goes by itself."""
        proxy = self.by_scheme.get(url.scheme)
        host, port = _plain(url.host), url.port or PORTS.get(url.scheme, 0)
        if proxy is None or _stays_here(host):
            return None
        return None if any(one.covers(host, port) for one in self.exempt) else proxy


def _proxy(variable: str, value: str) -> Proxy:
    """Also from `proxy:3128`, as curl takes it."""
    text = value.strip()
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in PORTS or not url.host:
        raise SettingError(f"{variable} must be the address of an HTTP proxy, such as http://proxy:3128.")
    auth = (url.username, url.password) if url.userinfo else None
    plain = url.copy_with(userinfo=b"", path="/", query=None, fragment=None)
    return Proxy(variable, str(plain), auth)


def _exempt(entry: str) -> Exempt:
    text = entry.strip().lower()
    with suppress(ValueError):
        return Exempt(ipaddress.ip_network(text.strip("[]"), strict=False), None)
    match = _ENTRY.fullmatch(text)
    host, port = (match[1], int(match[2]) if match[2] else None) if match else (text, None)
    with suppress(ValueError):
        return Exempt(ipaddress.ip_network(host.strip("[]")), port)
    return Exempt(_plain(host).removeprefix("*").lstrip(".") or EVERYTHING, port)


def _stays_here(host: str) -> bool:
    """This machine itself, whatever NO_PROXY says."""
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
