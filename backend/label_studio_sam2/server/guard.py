"""Who may ask: by the password, by the site whose page asks, and by the name under which the service is called."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from cachetools import TTLCache
from starlette.types import Scope

from label_studio_sam2.errors import ForeignSite, ServiceError, Unauthorized

PROBES = frozenset({"/health", "/ready"})
"""They carry no password, and call the service by its address."""

EVENTS = "/webhook"
"""Label Studio's annotation webhooks carry no password either (measured on 1.23.2); that of Start Training does."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})

FREE_GUESSES = 5
LONGEST_SECONDS = 5.0
FORGOTTEN_SECONDS = 300.0
ADDRESSES = 10_000

WANTED = "Send the user and password that BASIC_AUTH_USER and BASIC_AUTH_PASS name."


class Guard:
    """`user` empty: no password is asked for. `hosts` empty: the service may be called by any name."""

    def __init__(self, user: str, password: str, hosts: Collection[str]) -> None:
        self._credentials = f"{user}:{password}".encode() if user else None
        self._hosts = hosts
        self._guesses: TTLCache[str, int] = TTLCache(ADDRESSES, FORGOTTEN_SECONDS)

    async def refusal(self, scope: Scope) -> ServiceError | None:
        """Why the request isn't answered; None where it is. Notes in the scope's state whether it is `known`: by the
        right password, or where none is asked for."""
        known = self._knows(scope)
        scope.setdefault("state", {})["known"] = known
        if scope["path"] in PROBES:
            return None
        if foreign := self._foreign(scope):
            return foreign
        guessed = header(scope, b"authorization") != ""
        if known or (scope["path"] == EVENTS and not guessed):
            return None
        if guessed:
            await self._slow_down(scope)
        return Unauthorized(WANTED)

    def _knows(self, scope: Scope) -> bool:
        """Compared in constant time, so that the answer's delay tells nothing of the password."""
        if self._credentials is None:
            return True
        kind, _, encoded = header(scope, b"authorization").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True) if kind.lower() == "basic" else b""
        except ValueError:
            given = b""
        return hmac.compare_digest(given, self._credentials)

    async def _slow_down(self, scope: Scope) -> None:
        """The more wrong passwords an address sends, the longer it waits for the next no; a right one never waits."""
        address = (scope.get("client") or ("", 0))[0]
        guesses = self._guesses[address] = self._guesses.get(address, 0) + 1
        if guesses > FREE_GUESSES:
            await asyncio.sleep(min(LONGEST_SECONDS, 0.1 * 2 ** min(guesses - FREE_GUESSES, 10)))

    def _foreign(self, scope: Scope) -> ServiceError | None:
        host = header(scope, b"host").lower()
        if self._hosts and host not in self._hosts and _name(host) not in self._hosts:
            return ForeignSite(
                f"This service doesn't answer to the name {host or 'that is missing'}. Add it to ALLOWED_HOSTS, or "
                "call it by one of the names there."
            )
        if scope["method"] in READING:
            return None
        site, origin = header(scope, b"sec-fetch-site"), header(scope, b"origin").lower()
        if site:  # the browser's own word, right also behind a proxy that changes the Host
            ours = site in {"same-origin", "none"}
        else:
            there = urlsplit(origin).netloc if origin != "null" else origin
            ours = not origin or there == host or _name(there) in self._hosts
        return (
            None
            if ours
            else ForeignSite("A page of another site may not ask this. Use the service's own page.")
        )


def header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _name(host: str) -> str:
    """A host without its port, an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
