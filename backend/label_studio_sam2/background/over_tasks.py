"""Work on many tasks, a few side by side: counted, reported, and never lost to one that fails."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from label_studio_sam2.background.job import Job, Result
from label_studio_sam2.background.problems import Problems
from label_studio_sam2.engine.device import cores
from label_studio_sam2.errors import ServiceError, brief, known
from label_studio_sam2.labelstudio.api.protocol import Task

log = logging.getLogger(__name__)

LEAST_SIDE_BY_SIDE, MOST_SIDE_BY_SIDE = 4, 16
"""Tasks in work at once, between these one for each core: some are on the device while others are fetched, decoded,
filtered and written. Each holds a picture; a GPU takes as many as sixteen cores decode."""

REASONS = 20
"""Failed tasks whose reasons a job's result names; the log has them all."""

FAILED, LEFT = "failed", "left"

T = TypeVar("T")
R = TypeVar("R")


def run_over(
    job: Job,
    tasks: Iterable[tuple[int, Task]],
    total: int,
    work: Callable[[int, Task], str],
    *,
    problems: Problems,
    project: int | None,
) -> Result:
    """Does `work`, which returns in a word what became of the task, on every task with its place.

    One that fails is counted, and its reason kept in the log, in the job's result and for the project. Once the job
    is cancelled, or `work` raises CancelledError, tasks are left as they are. Returns how often each word came.
    """
    counts: Counter[str] = Counter()
    reasons: list[str] = []

    def one(placed: tuple[int, Task]) -> str:
        place, task = placed
        try:
            return LEFT if job.cancelled else work(place, task)
        except CancelledError:
            return LEFT
        except Exception as error:  # one task must never lose the others
            problem, expected = known(error), isinstance(error, ServiceError)
            reason = brief(f"Task {task.id}: {problem.detail}")
            log.warning("%s", reason, exc_info=None if expected else error)
        problems.record(project, type(problem).__name__, reason)
        if len(reasons) < REASONS:
            reasons.append(reason)
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
    """Results in the items' order; items are taken only a little ahead.

    On daemon threads, unlike an executor's: the process may end while one of them is in a slow download.
    """
    todo: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()

    def take() -> None:
        while (taken := todo.get()) is not None:
            future, item = taken
            try:
                future.set_result(work(item))
            except BaseException as error:  # noqa: BLE001  it belongs to whoever takes the result
                future.set_exception(error)

    side_by_side = min(max(cores(), LEAST_SIDE_BY_SIDE), MOST_SIDE_BY_SIDE)
    threads = [
        Thread(target=copy_context().run, args=(take,), name=f"tasks-{n}", daemon=True)
        for n in range(side_by_side)
    ]
    for thread in threads:
        thread.start()
    try:
        ahead: deque[Future[R]] = deque()
        for item in items:
            ahead.append(Future())
            todo.put((ahead[-1], item))
            if len(ahead) > side_by_side:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for _ in threads:
            todo.put(None)
        for thread in threads:
            thread.join()
