"""The last thing that went wrong in each project: Label Studio shows annotators nothing of an error, so we keep it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.errors import ServiceError, brief

log = logging.getLogger(__name__)

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
        self._last: LRUCache[int | None, Trouble] = LRUCache(KEPT_PROJECTS)
        self._lock = Lock()

    def record(self, project: int | None, error: str, detail: str) -> None:
        with self._lock:
            self._last.pop(project, None)  # the newest goes last
            self._last[project] = Trouble(error, brief(detail), datetime.now(UTC))

    def left_out(self, project: int | None, task: object, reasons: Sequence[str]) -> None:
        """Some of a task's regions couldn't be used; the others were answered, so nobody would hear of them."""
        for reason in reasons:
            log.warning("task %s: left out: %s", task, reason)
        more = f" So were {len(reasons) - 1} more; the log has them all." if len(reasons) > 1 else ""
        self.record(project, "LeftOut", f"Task {task}: A region was left out. {reasons[0]}{more}")

    def unlabelled(self, project: int | None, task: object, reasons: Sequence[str]) -> None:
        """Words found objects whose label nobody could tell."""
        for reason in reasons:
            log.warning("task %s: without a label: %s", task, reason)
        more = f" So do {len(reasons) - 1} more; the log has them all." if len(reasons) > 1 else ""
        self.record(project, "WithoutLabel", f"Task {task}: {reasons[0]}{more}")

    def passed_over(
        self, project: int | None, task: object, unreadable: Mapping[int, ServiceError], count: int
    ) -> None:
        """Some of a task's list of so many pictures couldn't be read, by their place from 0."""
        for place, error in sorted(unreadable.items()):
            log.warning("task %s: picture %s of %s is passed over: %s", task, place + 1, count, error.detail)
        if unreadable:
            first = min(unreadable)
            error, others = unreadable[first], len(unreadable) - 1
            more = f" Nor have {others} more; the log names them all." if others else ""
            which = f"Task {task}: picture {first + 1} of {count} has no masks."
            self.record(project, type(error).__name__, f"{which} {error.detail}{more}")

    def clear(self, project: int | None, error: str | None = None, *, before: datetime | None = None) -> None:
        """Forgets the project's trouble, or only one of this kind, or only one that happened before that."""
        with self._lock:
            last = self._last.get(project)
            if last is not None and error in (None, last.error) and (before is None or last.at < before):
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
