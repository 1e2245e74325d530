"""Label Studio's JSON and JSON_MIN exports, a task at a time, however large the file.

JSON has a task's annotations in a list; JSON_MIN has one row an annotation, with the task's data beside the regions of
each control (label-studio-sdk, converter/converter.py). Both can stand alone as one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import ijson

from label_studio_sam2.errors import PromptError, RequestError
from label_studio_sam2.labelstudio.values import shape_of
from label_studio_sam2.labelstudio.video_regions import VideoRegion
from label_studio_sam2.masklets.report import Lack, Report

ROOTS = {b"[": "item", b"{": ""}
"""Where the tasks are, by the export's first character (ijson's prefix)."""

SUFFIXES = frozenset(
    {".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".ogv", ".ts", ".mpg", ".mpeg", ".gif"}
)

MOST_FRAMES = 2_000_000
"""A day at 24 frames a second: what is beyond it is a damaged number, and would fill the memory."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's regions on one video; `address` is what the task says about where the video is, or empty."""

    task: int | None
    id: int | None
    address: str
    regions: tuple[VideoRegion, ...]


def read(file: IO[bytes], report: Report, *, every: bool = False) -> Iterator[Annotation]:
    """The annotations with video regions: of each task the one submitted last, or `every`; skipped ones never.

    Raises RequestError unless the file begins as an export does; where it breaks off later, reading ends.
    """
    rows = ijson.items(file, _root(file), use_float=True)
    for task, several in groupby(_whole(rows, report), key=lambda row: row.get("id")):
        found = [(row, annotation) for row in several for annotation in _submitted(row)]
        submitted = sorted(found, key=lambda pair: _time(pair[1]))
        if not submitted:
            report.lack(Lack.NO_ANNOTATION, f"task {task}")
        for row, annotation in submitted if every else submitted[-1:]:
            parsed = _annotation(row, annotation, report)
            report.lack(Lack.NO_REGIONS, f"task {task}, annotation {parsed.id}", times=not parsed.regions)
            if parsed.regions:
                yield parsed


def _root(file: IO[bytes]) -> str:
    head = file.read(4096)
    skipped = len(head) - len(head.removeprefix(b"\xef\xbb\xbf").lstrip())
    file.seek(skipped)
    first = head[skipped : skipped + 1]
    if first not in ROOTS:
        raise RequestError("The export isn't JSON. Export as JSON or JSON_MIN from Label Studio.")
    return ROOTS[first]


def _whole(rows: Iterable[Any], report: Report) -> Iterator[Row]:
    last: Row | None = None
    try:
        for row in rows:
            if not isinstance(row, dict):
                raise RequestError("The export isn't a list of tasks. Export as JSON or JSON_MIN.")
            yield row
            last = row
    except (ijson.JSONError, UnicodeDecodeError) as error:
        if last is None:
            raise RequestError(f"The export can't be read: {str(error).splitlines()[0]}") from error
        report.lack(Lack.BROKEN_OFF, f"after task {last.get('id')}")


def _submitted(row: Row) -> list[Row]:
    """The row's annotations that weren't skipped."""
    found = row.get("annotations", row.get("completions"))
    if found is None and isinstance(row.get("data"), dict):
        found = []  # a task as it is imported
    if found is None and isinstance(row.get("result"), list):
        found = [row]  # an annotation alone, as the API answers it
    annotations = found if isinstance(found, list) else [_minimal(row)]
    return [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]


def _time(annotation: Row) -> tuple[str, int]:
    """What annotations are sorted by: when each was submitted last."""
    when = annotation.get("updated_at") or annotation.get("created_at")
    number = annotation.get("id")
    return str(when or ""), number if isinstance(number, int) else 0


def _minimal(row: Row) -> Row:
    """A JSON_MIN row as the annotation that it was made from; its regions had ids, and here get new ones."""
    result = [
        {"id": f"{name}-{place}", "from_name": name, "to_name": "", "value": value}
        for name, values in row.items()
        if isinstance(values, list)
        for place, value in enumerate(values, start=1)
    ]
    times = {key: row.get(key) for key in ("created_at", "updated_at")}
    return {"id": row.get("annotation_id"), "result": result, **times}


def _annotation(row: Row, annotation: Row, report: Report) -> Annotation:
    number = annotation.get("id")
    result = annotation.get("result")
    regions: dict[str, VideoRegion] = {}
    for region in result if isinstance(result, list) else []:
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(value, dict) or shape_of(value) != "videorectangle":
            continue
        try:
            parsed = _bounded(VideoRegion.parse(region))
        except PromptError as error:
            report.lack(Lack.UNREADABLE_REGION, f"task {row.get('id')}: {error.detail}")
        else:
            regions.setdefault(parsed.id, parsed)
    kept = tuple(regions.values())
    return Annotation(_whole_number(row.get("id")), _whole_number(number), _address(row, kept), kept)


def _bounded(region: VideoRegion) -> VideoRegion:
    last = max((keyframe.frame for keyframe in region.keyframes), default=1)
    if max(last, region.frames_count or 0) > MOST_FRAMES:
        raise PromptError(f'Region "{region.id}" has a frame beyond {MOST_FRAMES}.')
    return region


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _address(row: Row, regions: Iterable[VideoRegion]) -> str:
    """The task data don't say which of them is the video: one named as the tag, else one that ends as videos do."""
    data = row.get("data", row)
    texts = (
        {key: text for key, text in data.items() if isinstance(text, str)} if isinstance(data, dict) else {}
    )
    named = [texts[region.to_name] for region in regions if region.to_name in texts]
    videos = [
        text for text in texts.values() if PurePosixPath(urlsplit(text).path).suffix.lower() in SUFFIXES
    ]
    addresses = [text for text in texts.values() if "/" in text]
    return next(iter((*named, *videos, *addresses)), "")
