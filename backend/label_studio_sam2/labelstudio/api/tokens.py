"""The key that an admin sets becomes an Authorization header, whichever of Label Studio's two kinds it is."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable

from label_studio_sam2.errors import LabelStudioError
from label_studio_sam2.flights import Flights

LIFETIME_SECONDS = 300.0
"""What Label Studio gives an access token; for one that doesn't say so itself."""

RENEW_SECONDS = 30.0
"""An access token is renewed this long before it expires, so that none expires on its way."""


REMEMBERED_SECONDS = 1.0
"""How long an exchange that failed isn't tried again, so that those who come one after the other don't all wait."""


class AccessKey:
    """One key: a legacy token is sent as it is, a personal access token is exchanged for short-lived ones.

    A personal access token is a refresh token, a JWT of three parts with two dots between them, and is
    refused
    if sent itself. `exchange` turns it into an access token (`POST /api/token/refresh`) or raises
    LabelStudioError. Threads may share a key: while one exchanges, the others wait for what it gets.
    """

    def __init__(
        self, token: str, exchange: Callable[[str], str], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._token = token.strip()
        self._exchange = exchange
        self._now = now
        self._flights = Flights[str]()
        self._header: str | None = None
        self._renew_at = 0.0
        self._failure = ""
        self._failed = 0.0

    def __bool__(self) -> bool:
        return bool(self._token)

    def __repr__(self) -> str:
        return f"AccessKey({self.kind})"

    @property
    def kind(self) -> str:
        """Which of the two it is, in words that Label Studio's own pages use."""
        return "personal access token" if self._personal else "legacy token" if self else "none"

    @property
    def _personal(self) -> bool:
        return self._token.count(".") == 2

    def authorization(self, refused: str | None = None) -> str | None:
        """The header's value, or None where no key is set.

        `refused` is a value that has just been answered with 401: a personal access token then gives another
        one (Label Studio was restarted, or its clock differs), a legacy token the same again.
        """
        if not self._personal:
            return f"Token {self._token}" if self else None
        return self._current(refused) or self._flights.share("exchange", lambda: self._exchanged(refused))

    def _current(self, refused: str | None) -> str | None:
        due = self._now() >= self._renew_at
        return None if due or self._header == refused else self._header

    def _exchanged(self, refused: str | None) -> str:
        """By the one who does it for all that wait."""
        if header := self._current(refused):
            return header
        if self._failure and self._now() < self._failed + REMEMBERED_SECONDS:
            raise LabelStudioError(self._failure)
        try:
            access = self._exchange(self._token)
        except LabelStudioError as problem:
            self._failure, self._failed = problem.detail, self._now()
            raise
        self._header, self._failure = f"Bearer {access}", ""
        self._renew_at = self._now() + _lifetime(access) - RENEW_SECONDS
        return self._header


def _lifetime(access: str) -> float:
    """Seconds from issue to expiry, both by the issuer's clock, so that no two clocks are compared."""
    try:
        payload = access.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return LIFETIME_SECONDS
