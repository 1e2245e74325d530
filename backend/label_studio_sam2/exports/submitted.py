"""Submitted annotations, one at a time, of Label Studio's JSON and JSON_MIN exports, however large, and of its API.

JSON has a task's annotations in a list; JSON_MIN has one row an annotation, with the task's data beside the regions of
each control (label-studio-sdk, converter/converter.py); target storages write a file an annotation, with its task in
it. Each can stand alone as one object, or on a line of its own.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import ijson

from label_studio_sam2.errors import RequestError
from label_studio_sam2.exports.files import Part
from label_studio_sam2.exports.format import Choice
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.regions.values import shape_of

Row = dict[str, Any]

Place = tuple[int, int, int]
"""The numbers of a file, of a row in it, and of an annotation in that."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """One annotator's answer to a task: the row of the task, and the annotation as Label Studio writes it."""

    row: Row
    annotation: Row

    @property
    def task(self) -> int | None:
        return _whole_number(self.row.get("id"))

    @property
    def id(self) -> int | None:
        return _whole_number(self.annotation.get("id"))

    @property
    def data(self) -> Mapping[str, Any]:
        """The task's; in JSON_MIN it stands beside the regions."""
        found = self.row.get("data", self.row)
        return found if isinstance(found, dict) else {}

    @property
    def result(self) -> list[Row]:
        """Its items, those that are objects."""
        found = self.annotation.get("result")
        return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []

    @property
    def of_video(self) -> bool:
        values = (item.get("value") for item in self.result)
        return any(isinstance(value, dict) and shape_of(value) == "videorectangle" for value in values)


class Annotations(Protocol):
    """Those that are wanted; `of_videos` and `of_pictures` are how many annotations hold regions of either."""

    @property
    def of_videos(self) -> int: ...

    @property
    def of_pictures(self) -> int: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Submitted]: ...


@dataclass(frozen=True)
class Export:
    """The annotations of an export that are wanted. It is read twice: which they are is known only at its end, and
    the regions of one annotation at a time are all that fits into memory."""

    parts: Sequence[Part]
    wanted: frozenset[Place]
    of_videos: int
    of_pictures: int

    @classmethod
    def of(cls, parts: Sequence[Part], report: Report, choice: Choice = Choice.LAST) -> Export:
        """The choice of each task's annotations, wherever they stand; skipped ones never.

        Raises RequestError unless each file begins as an export does; where one breaks off later, its reading ends.
        """
        submitted: dict[Hashable, list[tuple[Rank, Place]]] = {}
        videos = pictures = 0
        for place, row in _rows(parts, report):
            number = _task(row).get("id")
            task: Hashable = number if isinstance(number, int | str) else place
            here = submitted.setdefault(task, [])
            for rank, one in enumerate(_submitted(row)):
                here.append((_rank(one), (*place, rank)))
                videos += (video := Submitted(row, one).of_video)
                pictures += not video and bool(Submitted(row, one).result)
        for name, found in submitted.items():
            report.lack(Lack.NO_ANNOTATION, f"task {name}", times=not found)
        chosen = (CHOSEN[choice](sorted(found)) for found in submitted.values())
        return cls(parts, frozenset(place for found in chosen for _, place in found), videos, pictures)

    def __len__(self) -> int:
        return len(self.wanted)

    def __iter__(self) -> Iterator[Submitted]:
        """In the order of the files."""
        for place, row in _rows(self.parts, Report()):
            here = [one for rank, one in enumerate(_submitted(row)) if (*place, rank) in self.wanted]
            for annotation in sorted(here, key=_rank):
                yield Submitted(_task(row), annotation)


@dataclass(frozen=True)
class Project:
    """The annotations of a project of Label Studio, as its API lists them, a page of tasks at a time."""

    client: LabelStudioClient
    number: int
    report: Report
    choice: Choice
    of_videos: int
    of_pictures: int

    @classmethod
    def of(
        cls, client: LabelStudioClient, number: int, report: Report, choice: Choice, *, videos: bool
    ) -> Project:
        """`videos`: whether the project's labeling config shows videos. Raises LabelStudioError."""
        count = project_tasks.count(client, number, project_tasks.ANNOTATED)
        return cls(client, number, report, choice, count if videos else 0, 0 if videos else count)

    def __len__(self) -> int:
        return max(self.of_videos, self.of_pictures)

    def __iter__(self) -> Iterator[Submitted]:
        for task in project_tasks.tasks(self.client, self.number, project_tasks.ANNOTATED, full=True):
            row = {"id": task.id, "data": task.data, "annotations": task.annotations}
            ranked = sorted(((_rank(one), one) for one in _submitted(row)), key=lambda found: found[0])
            self.report.lack(Lack.NO_ANNOTATION, f"task {task.id}", times=not ranked)
            for _, annotation in CHOSEN[self.choice](ranked):
                yield Submitted(row, annotation)


Rank = tuple[bool, str, int]
"""What annotations of a task are sorted by: whether one is the ground truth, when it was submitted last, its id."""

CHOSEN: Mapping[Choice, Callable[[list[tuple[Rank, Any]]], list[tuple[Rank, Any]]]] = {
    Choice.LAST: lambda found: sorted(found, key=lambda one: one[0][1:])[-1:],
    Choice.FIRST: lambda found: sorted(found, key=lambda one: one[0][1:])[:1],
    Choice.ALL: lambda found: found,
    Choice.GROUND_TRUTH: lambda found: [one for one in found if one[0][0]],
}
"""Of a task's annotations in their order, those that are wanted."""


def _rows(parts: Sequence[Part], report: Report) -> Iterator[tuple[tuple[int, int], Row]]:
    """Each with the number of its file and its own in there."""
    for number, part in enumerate(parts):
        file, prefix = part.open()
        with closing(file):
            items = ijson.items(file, prefix, use_float=True, multiple_values=True)
            for rank, row in enumerate(_whole(items, part.name, report)):
                yield (number, rank), row


def _whole(rows: Iterable[Any], name: str, report: Report) -> Iterator[Row]:
    last: Row | None = None
    try:
        for row in rows:
            if not isinstance(row, dict):
                raise RequestError("The export isn't a list of tasks. Export as JSON or JSON_MIN.")
            yield row
            last = row
    except (ijson.JSONError, UnicodeDecodeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        if last is None:
            raise RequestError(f"The export can't be read: {str(error).splitlines()[0]}") from error
        report.lack(Lack.BROKEN_OFF, f"{name}, after task {_task(last).get('id')}")


def _task(row: Row) -> Row:
    """What a row says of its task: the row itself, or for an annotation alone, as target storages and the API write
    it, what stands under "task" there, all of it or its number."""
    if not _is_annotation(row) or "task" not in row:
        return row
    return row["task"] if isinstance(row["task"], dict) else {"id": row["task"], "data": {}}


def _is_annotation(row: Row) -> bool:
    """Whether it is an annotation alone. In JSON_MIN, which says what annotation a row is of, a tag may be named
    "result", as that of our templates is."""
    return isinstance(row.get("result"), list) and "annotation_id" not in row


def _submitted(row: Row) -> list[Row]:
    """The row's annotations that weren't skipped."""
    found = row.get("annotations", row.get("completions"))
    if found is None and isinstance(row.get("data"), dict):
        found = []  # a task as it is imported
    if found is None and _is_annotation(row):
        found = [row]
    annotations = found if isinstance(found, list) else [_minimal(row)]
    return [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]


def _rank(annotation: Row) -> Rank:
    when = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return annotation.get("ground_truth") is True, str(when or ""), number if isinstance(number, int) else 0


def _minimal(row: Row) -> Row:
    """A JSON_MIN row as the annotation that it was made from; its regions had ids, and have none here."""
    result = [
        {"from_name": name, "to_name": "", "value": value}
        for name, values in row.items()
        if isinstance(values, list)
        for value in values
    ]
    times = {key: row.get(key) for key in ("created_at", "updated_at")}
    return {"id": row.get("annotation_id"), "result": result, **times}


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
