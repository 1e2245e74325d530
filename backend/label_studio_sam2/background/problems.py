"""The last thing that went wrong in each project: Label Studio shows annotators nothing of an error, so we keep it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.background.shared.problems import SharedProblems, Trouble
from label_studio_sam2.background.shared.store import SharedStore
from label_studio_sam2.errors import ServiceError, brief

log = logging.getLogger(__name__)

KEPT_PROJECTS = 1000


class Problems:
    """Bounded; a project's trouble is forgotten with its next success. Those of other replicas are known about a
    second later."""

    def __init__(self, store: SharedStore | None = None) -> None:
        self._last: dict[int | None, Trouble] = {}
        self._succeeded: LRUCache[int | None, datetime] = LRUCache(KEPT_PROJECTS)
        self._untold: LRUCache[int | None, bool] = LRUCache(KEPT_PROJECTS)
        self._lock = Lock()
        self._store = store or SharedStore()
        self._shared = SharedProblems(self._store)
        self._store.each_pulse(self._exchange)

    def record(self, project: int | None, error: str, detail: str) -> None:
        with self._lock:
            self._last.pop(project, None)  # the newest goes last
            self._last[project] = Trouble(error, brief(detail), datetime.now(UTC))
            for oldest in list(self._last)[:-KEPT_PROJECTS]:
                self._forget(oldest)
            self._untold[project] = True
        self._store.soon()

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
            if error is None:
                self._succeeded[project] = before or datetime.now(UTC)
            last = self._last.get(project)
            if last is not None and error in (None, last.error) and (before is None or last.at < before):
                self._forget(project)
                self._store.soon()

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

    def _forget(self, project: int | None) -> None:
        del self._last[project]
        self._untold[project] = True

    def _exchange(self) -> None:
        """Tells the other replicas what changed here, and learns what did there."""
        with self._lock:
            told = list(self._untold)
            self._untold.clear()
            news = {project: self._last.get(project) for project in told}
        found = self._shared.exchange(news)
        with self._lock:
            if found is None:
                self._untold.update(dict.fromkeys(told, True))
                return
            mine = {project: self._last[project] for project in self._untold if project in self._last}
            others = {project: one for project, one in found.items() if project not in self._untold}
            # Of these it went well here since.
            past = {
                project for project, one in others.items() if one.at < self._succeeded.get(project, one.at)
            }
            self._untold.update(dict.fromkeys(past, True))
            known = {project: one for project, one in (others | mine).items() if project not in past}
            self._last = dict(sorted(known.items(), key=lambda one: one[1].at))
