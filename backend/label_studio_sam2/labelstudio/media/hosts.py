"""Where Label Studio is, and which addresses are its own: only these are asked with the admin's key."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import httpx

Origin = tuple[str, str, int]
"""Scheme, host and port: what has to agree before a key may go along."""

PORTS = {"http": 80, "https": 443}
OWN_PATHS = ("/data/upload/", "/data/local-files/", "/storage-data/uploaded/")
_RESOLVED = re.compile(r"/(tasks|projects)/\d+/(resolve|presign)/")


@dataclass(frozen=True, slots=True)
class LabelStudioHost:
    """Where Label Studio is for this service, and by which other origins task data may call it.

    `url` is empty where none is set. `prefix` is its path, as in https://host/label-studio, else empty.
    """

    url: str
    origin: Origin | None
    prefix: str
    aliases: frozenset[Origin] = frozenset()

    @classmethod
    def of(cls, url: str, aliases: Collection[str] = ()) -> LabelStudioHost:
        parsed = httpx.URL(url)
        host = cls(url.rstrip("/"), origin(parsed) if url else None, parsed.path.rstrip("/"))
        return functools.reduce(LabelStudioHost.known_as, aliases, host)

    def known_as(self, alias: str) -> LabelStudioHost:
        """With one more origin; text that is none is passed over."""
        try:
            other = with_host(httpx.URL(alias))
        except httpx.InvalidURL:
            return self
        return replace(self, aliases=self.aliases | {origin(other)}) if other.host else self

    def at(self, path: str) -> str:
        """A root-relative path's address; Label Studio writes some paths with its prefix and some without."""
        if self.prefix and path.startswith(self.prefix + "/"):
            return self.url.removesuffix(self.prefix) + path
        return self.url + path

    def serves_media_at(self, url: httpx.URL) -> bool:
        """Whether an address is Label Studio's, and one that media come from: only these get the admin's key, as task
        data are written by others."""
        path = url.path.removeprefix(self.prefix)
        if origin(url) != self.origin or not url.path.startswith(self.prefix + "/"):
            return False
        if "\\" in path or {".", ".."} & set(path.split("/")):
            return False  # what it leads to depends on who reads it
        return path.startswith(OWN_PATHS) or _RESOLVED.match(path) is not None


def origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host.rstrip("."), url.port or PORTS.get(url.scheme, 0)


def with_host(url: httpx.URL) -> httpx.URL:
    """The address itself. Raises httpx.InvalidURL where its host can't be read, which httpx tells only when it is asked
    for it (xn-- and then no Punycode), and then as a UnicodeError."""
    try:
        url.host  # noqa: B018
    except UnicodeError as problem:
        raise httpx.InvalidURL(f"its host can't be read: {problem}") from problem
    return url
