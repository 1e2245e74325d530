"""Work on many tasks, a few side by side: counted, reported, and never lost to one that fails."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TypeVar

from label_studio_sam2.errors import ServiceError
from label_studio_sam2.jobs import Job, Result
from label_studio_sam2.labelstudio.protocol import Task
from label_studio_sam2.problems import Problems

log = logging.getLogger(__name__)

SIDE_BY_SIDE = 4
"""Tasks in work at once: one is on the device while others are fetched, filtered and written. Each holds a decoded
picture."""

REASONS = 20
"""Failed tasks whose reasons a job's result names; the log has them all."""

FAILED, LEFT = "failed", "left"

T = TypeVar("T")
R = TypeVar("R")


def run_over(
    job: Job,
    tasks: Iterable[Task],
    total: int,
    work: Callable[[Task], str],
    *,
    problems: Problems,
    project: int | None,
) -> Result:
    """Does `work`, which returns in a word what became of the task, on every task.

    One that fails is counted, and its reason kept in the log, in the job's result and for the project. Once the job
    is cancelled, or `work` raises CancelledError, tasks are left as they are. Returns how often each word came.
    """
    counts: Counter[str] = Counter()
    reasons: list[str] = []

    def one(task: Task) -> str:
        try:
            return LEFT if job.cancelled else work(task)
        except CancelledError:
            return LEFT
        except ServiceError as error:
            reason, kind = error.detail, type(error).__name__
            log.warning("task %s: %s", task.id, reason)
        except Exception:  # one task must never lose the others
            reason, kind = "It failed unexpectedly; the log has the traceback.", "InternalError"
            log.exception("task %s", task.id)
        problems.record(project, kind, f"Task {task.id}: {reason}")
        if len(reasons) < REASONS:
            reasons.append(f"Task {task.id}: {reason}")
        return FAILED

    job.progress(0, total, "tasks")
    for outcome in _in_order(one, tasks):
        counts[outcome] += 1
        said = ", ".join(f"{number} {word}" for word, number in counts.items())
        job.progress(counts.total(), max(total, counts.total()), "tasks", said)
        if job.cancelled:
            break
    return {**counts, "reasons": reasons}


def _in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in the items' order; items are taken only a little ahead."""
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="tasks") as threads:
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(threads.submit(work, item))
            if len(ahead) > SIDE_BY_SIDE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
