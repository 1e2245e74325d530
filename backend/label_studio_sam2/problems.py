"""The last thing that went wrong in each project: Label Studio shows annotators nothing of an error, so we keep it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

KEPT_PROJECTS = 1000


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence for the person who can mend it, and when it happened (UTC)."""

    error: str
    detail: str
    at: datetime


class Problems:
    """Bounded; a project's trouble is forgotten with its next success."""

    def __init__(self) -> None:
        self._last: OrderedDict[int | None, Trouble] = OrderedDict()
        self._lock = Lock()

    def record(self, project: int | None, error: str, detail: str) -> None:
        with self._lock:
            self._last[project] = Trouble(error, detail, datetime.now(UTC))
            self._last.move_to_end(project)
            while len(self._last) > KEPT_PROJECTS:
                self._last.popitem(last=False)

    def clear(self, project: int | None, error: str | None = None) -> None:
        """Forgets the project's trouble, or only one of this kind."""
        with self._lock:
            last = self._last.get(project)
            if last is not None and error in (None, last.error):
                del self._last[project]

    def all(self) -> dict[str, dict[str, str]]:
        """By project id ("" where a request named none), newest last."""
        with self._lock:
            return {
                str(project or ""): {
                    "error": t.error,
                    "detail": t.detail,
                    "at": t.at.isoformat(timespec="seconds"),
                }
                for project, t in self._last.items()
            }
