"""A project's tasks, a page at a time, in order of id, as Label Studio's Data Manager filters them.

Never one task by itself: GET /api/tasks/<id>/ makes Label Studio ask its backends for a prediction, that is us.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.protocol import Task

PAGE = 20
"""Tasks of one page, with all their annotations and predictions: some megabytes."""

PAGE_OF_IDS = 100
"""Tasks of one page without their annotations: some kilobytes."""

TUNED = "+"
"""What joins a model's version and its tuning's."""

Filter = dict[str, Any]

ANNOTATED: Sequence[Filter] = (
    {"filter": "filter:tasks:total_annotations", "type": "Number", "operator": "greater", "value": 0},
)
"""A filter for tasks that have a submitted annotation; skipped ones are none."""


def tasks(
    client: LabelStudioClient,
    project: int,
    where: Sequence[Filter] = (),
    *,
    after: int = 0,
    full: bool = False,
    page_size: int = PAGE,
) -> Iterator[Task]:
    """Tasks whose id is greater than `after`; with their annotations and predictions where `full`.

    Pages begin behind the last id, so that none is missed where tasks leave the filter meanwhile.
    """
    while True:
        page = _page(client, project, [*where, _filter("id", "Number", "greater", after)], full, page_size)
        yield from (Task.model_validate(task) for task in page["tasks"])
        if len(page["tasks"]) < page_size:
            return
        after = page["tasks"][-1]["id"]


def count(client: LabelStudioClient, project: int, where: Sequence[Filter] = ()) -> int:
    return int(_page(client, project, where, full=False, page_size=1)["total"])


def annotated(client: LabelStudioClient, project: int) -> Iterator[int]:
    """The ids of the tasks that have a submitted annotation; skipped ones are none."""
    return (int(task.id or 0) for task in tasks(client, project, ANNOTATED, page_size=PAGE_OF_IDS))


def whole(client: LabelStudioClient, project: int, task_id: int) -> Task | None:
    """One task with all its annotations and predictions; None where it has been deleted."""
    return next(iter(tasks(client, project, [_equal(task_id)], full=True, page_size=1)), None)


def newest(client: LabelStudioClient, project: int) -> Task | None:
    """The task that was imported last."""
    page = _page(client, project, (), full=False, page_size=1, ordering="-tasks:id")
    return next((Task.model_validate(task) for task in page["tasks"]), None)


def lacking(version: str) -> list[Filter]:
    """A filter for tasks without a prediction of this model version, or of one that goes on from it."""
    return [_versions("not_contains", version)]


def undone() -> list[Filter]:
    """A filter for tasks without a submitted annotation."""
    return [_filter("total_annotations", "Number", "equal", 0)]


def unpredicted(
    client: LabelStudioClient, project: int, version: str, where: Sequence[Filter] = ()
) -> Iterator[Task]:
    """Tasks, in full, that have no prediction of this very model version."""
    found = tasks(client, project, [*where, *lacking(version)], full=True)
    if TUNED not in version:  # Label Studio compares parts: a tuned model's version holds its base's
        tuned = [*where, _versions("contains", version + TUNED)]
        found = chain(found, tasks(client, project, tuned, full=True))
    return (task for task in found if not _has(task, version))


def predicted(client: LabelStudioClient, project: int, task_id: int, version: str) -> bool:
    """Whether the task has a prediction of this model version by now."""
    where = [_equal(task_id), _versions("contains", version)]
    page = _page(client, project, where, full=TUNED not in version, page_size=1)
    return any(TUNED in version or _has(Task.model_validate(task), version) for task in page["tasks"])


def _has(task: Task, version: str) -> bool:
    return any(prediction.get("model_version") == version for prediction in task.predictions or ())


def _equal(task_id: int) -> Filter:
    return _filter("id", "Number", "equal", task_id)


def _versions(operator: str, version: str) -> Filter:
    return _filter("predictions_model_versions", "List", operator, [version])


def _filter(column: str, kind: str, operator: str, value: Any) -> Filter:
    return {"filter": f"filter:tasks:{column}", "type": kind, "operator": operator, "value": value}


def _page(
    client: LabelStudioClient,
    project: int,
    where: Sequence[Filter],
    full: bool,
    page_size: int,
    *,
    ordering: str = "tasks:id",
) -> dict[str, Any]:
    query = {"ordering": [ordering], "filters": {"conjunction": "and", "items": list(where)}}
    page: dict[str, Any] = client.get(
        "/api/tasks/",
        {
            "project": project,
            "page_size": page_size,
            "resolve_uri": "false",
            "query": json.dumps(query),
            **({"fields": "all"} if full else {}),
        },
    )
    return page
