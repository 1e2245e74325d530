"""An annotation's video regions, and where its video is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from label_studio_sam2.errors import PromptError
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.submitted import Submitted
from label_studio_sam2.labelstudio.regions.values import shape_of
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion

SUFFIXES = frozenset(
    {".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".ogv", ".ts", ".mpg", ".mpeg", ".gif"}
)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotator's regions on one video; `address` is what the task says about where the video is, or empty."""

    task: int | None
    id: int | None
    address: str
    regions: tuple[VideoRegion, ...]

    @classmethod
    def of(cls, submitted: Submitted, report: Report) -> Annotation | None:
        """None where it has no video region."""
        regions: dict[str, VideoRegion] = {}
        for region in _named(submitted.result):
            value = region.get("value")
            if not isinstance(value, dict) or shape_of(value) != "videorectangle":
                continue
            try:
                parsed = VideoRegion.parse(region)
            except PromptError as error:
                report.lack(Lack.UNREADABLE_REGION, f"task {submitted.task}: {error.detail}")
            else:
                regions.setdefault(parsed.id, parsed)
        kept = tuple(regions.values())
        where = f"task {submitted.task}, annotation {submitted.id}"
        report.lack(Lack.NO_REGIONS, where, times=not kept)
        return cls(submitted.task, submitted.id, _address(submitted.data, kept), kept) if kept else None


def _named(result: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Regions of a JSON_MIN export, which have no ids, by their control and their place there."""
    places: Counter[str] = Counter()
    for item in result:
        name = str(item.get("from_name"))
        places[name] += 1
        yield {**item, "id": item.get("id", f"{name}-{places[name]}")}


def _address(data: Mapping[str, Any], regions: Iterable[VideoRegion]) -> str:
    """The task data don't say which of them is the video: one named as the tag, else one that ends as videos do."""
    texts = {key: text for key, text in data.items() if isinstance(text, str)}
    named = [texts[region.to_name] for region in regions if region.to_name in texts]
    videos = [
        text for text in texts.values() if PurePosixPath(urlsplit(text).path).suffix.lower() in SUFFIXES
    ]
    addresses = [text for text in texts.values() if "/" in text]
    return next(iter((*named, *videos, *addresses)), "")
