"""When a server that is busy for a moment is asked again: by its own word, within a bound."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

NOT_DONE = frozenset({429, 503})
"""The server says that it has done nothing, so whatever was asked may be asked again."""

PASSING = NOT_DONE | {408, 425, 500, 502, 504}
"""What may be gone a moment later, for what may be asked twice without harm."""

MOST_SECONDS = 20.0
"""That one request waits, over all its tries."""

_UNTOLD = (0.25, 0.75, 2.0)
"""Seconds before each further try, where the server names none."""


class Patience:
    """How long one request goes on asking."""

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._left = seconds
        self._tries = 0

    def pause(self, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait before the next try; None where it isn't worth one. `headers`: of the answer, any case."""
        if self._tries == len(_UNTOLD):
            return None
        told = _seconds(headers.get("retry-after", ""))
        pause = _UNTOLD[self._tries] if told is None else told
        if pause > self._left:
            return None
        self._tries += 1
        self._left -= pause
        return pause


def _seconds(retry_after: str) -> float | None:
    """A number of seconds or a date."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
