"""The checks for those who can't wait: they run in a thread, and what they found last is there at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any

from label_studio_sam2.checks.check import Check

log = logging.getLogger(__name__)

GOOD_SECONDS = 300.0
BAD_SECONDS = 60.0
"""How long a finding stands, from its end: a bad one shorter, since somebody may be mending it."""

BROKEN = Check(
    "checks",
    "problem",
    "The checks failed unexpectedly.",
    "See the traceback in the service's log, or run `label-studio-sam2 doctor`.",
)


class BackgroundChecks:
    """Runs `look` when it is asked for what is old, one run at a time. Threads may share it.

    Nobody waits for a run, not even the end of the process.
    """

    def __init__(
        self, look: Callable[[], Sequence[Check]], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._now = now
        self._lock = Lock()
        self._running = False
        self._found: list[dict[str, Any]] = []
        self._at: datetime | None = None
        self._stale_from = now()

    def latest(self) -> dict[str, Any]:
        """What the last run found, when it ended (ISO 8601, UTC; None before the first), and whether one is running;
        begins one where this is old. Returns at once."""
        if self._now() >= self._stale_from:
            self.begin()
        with self._lock:
            at = self._at.isoformat(timespec="seconds") if self._at else None
            return {"found": self._found, "at": at, "running": self._running}

    def begin(self) -> None:
        """Begins a run, unless one is running. Returns at once."""
        with self._lock:
            if self._running:
                return
            self._running = True
        Thread(target=self._run, name="checks", daemon=True).start()

    def _run(self) -> None:
        try:
            found = list(self._look())
        except Exception:
            log.exception("the checks failed")
            found = [BROKEN]
        good = all(check.state == "ok" for check in found)
        with self._lock:
            self._found, self._at = [asdict(check) for check in found], datetime.now(UTC)
            self._stale_from = self._now() + (GOOD_SECONDS if good else BAD_SECONDS)
            self._running = False
