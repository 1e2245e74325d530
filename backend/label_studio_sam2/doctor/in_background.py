"""The checks for those who can't wait: they run in a thread, and what they found last is there at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Lock, Thread
from typing import Any, Literal

from label_studio_sam2.doctor.check import Check

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


Depth = Literal["reading", "thorough"]


class BackgroundChecks:
    """Looks when it is asked for what is old, one look at a time. Threads may share it.

    `look` is given what the last thorough look found, and only reads; `thorough` fetches and writes, and is called only
    where somebody asks for it. Nobody waits for a look, not even the end of the process.
    """

    def __init__(
        self,
        look: Callable[[Sequence[Check]], Sequence[Check]],
        thorough: Callable[[], Sequence[Check]],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._thorough = thorough
        self._now = now
        self._lock = Lock()
        self._running: Depth | None = None
        self._next: Depth | None = None
        self._before: Sequence[Check] = ()
        self._found: list[dict[str, Any]] = []
        self._at: datetime | None = None
        self._stale_from = now()

    def latest(self) -> dict[str, Any]:
        """What the last look found, when it ended (ISO 8601, UTC; None before the first), and whether one is going on;
        begins one that only reads where this is old. Returns at once."""
        if self._now() >= self._stale_from:
            self._begin("reading")
        with self._lock:
            at = self._at.isoformat(timespec="seconds") if self._at else None
            return {"found": self._found, "at": at, "running": self._running is not None}

    def begin(self) -> None:
        """Begins a thorough look, unless one is going on; after one that only reads. Returns at once."""
        self._begin("thorough")

    def _begin(self, depth: Depth) -> None:
        with self._lock:
            if self._running is not None:
                if depth == "thorough" and self._running == "reading":
                    self._next = depth
                return
            self._running = depth
        Thread(target=self._run, name="checks", daemon=True).start()

    def _run(self) -> None:
        while self._running is not None:
            found = self._looked(self._running)
            good = all(check.state == "ok" for check in found)
            with self._lock:
                if self._running == "thorough":
                    self._before = found
                self._found, self._at = [asdict(check) for check in found], datetime.now(UTC)
                self._stale_from = self._now() + (GOOD_SECONDS if good else BAD_SECONDS)
                self._running, self._next = self._next, None

    def _looked(self, depth: Depth) -> Sequence[Check]:
        try:
            return self._thorough() if depth == "thorough" else self._look(self._before)
        except Exception:
            log.exception("the checks failed")
            return [BROKEN]
