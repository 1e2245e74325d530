"""Which pictures a task shows, where each is, and the regions that an annotation has on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from label_studio_sam2.errors import LabelConfigError, RequestError
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.submitted import Submitted
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions.depicted import Depicted, depicted_in
from label_studio_sam2.types import Size

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".ppm"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """One picture of a task: its address as the task's data have it, empty where nothing tells, and its regions.
    `config` is the labeling config that the editor makes for the task, where there is one."""

    address: str
    regions: Sequence[Depicted]
    config: LabelingConfig | None

    @property
    def declared(self) -> Size | None:
        """The size that most regions say it has."""
        sizes = Counter(region.declared for region in self.regions if region.declared)
        return sizes.most_common(1)[0][0] if sizes else None


def places_of(submitted: Submitted, label_config: str | None, report: Report) -> list[Place]:
    """By the labeling config all that the editor shows, in its order; without one those that have a region, or the
    one that the task's data name."""
    regions = depicted_in(submitted.result)
    videos = sum(_of_video(item) for item in submitted.result)
    report.lack(Lack.OF_A_VIDEO, f"task {submitted.task}, annotation {submitted.id}", videos)
    if label_config is None:
        return list(_told_by_data(submitted, regions))
    try:
        config = labeling_config.parse(label_config, submitted.data)
        return list(_told_by_config(submitted, regions, config, report))
    except LabelConfigError as error:
        report.lack(Lack.NO_CONFIG, f"task {submitted.task}: {error.detail}")
        return []


def _of_video(item: Mapping[str, Any]) -> bool:
    value = item.get("value")
    return isinstance(value, dict) and "sequence" in value


def _told_by_config(
    submitted: Submitted, regions: Sequence[Depicted], config: LabelingConfig, report: Report
) -> Iterator[Place]:
    for tag in config.objects.values():
        if tag.kind != "Image":
            continue
        shown = tag.places(submitted.data)
        here = [one for one in regions if config.object(one.to_name) is tag]
        unplaced = [one for one in here if not one.to_name and len(shown) > 1]
        where = f"task {submitted.task}, annotation {submitted.id}"
        report.lack(Lack.UNPLACED, where, len(unplaced))
        beyond = [one for one in here if (one.item_index or 0) >= len(shown)]
        report.lack(Lack.NO_PLACE, where, len(beyond))
        for index in shown:
            on = [one for one in here if one not in unplaced and (one.item_index or 0) == (index or 0)]
            try:
                address = tag.address(submitted.data, index)
            except RequestError:
                address = ""
            if on or address:
                yield Place(address, on, config)


def _told_by_data(submitted: Submitted, regions: Sequence[Depicted]) -> Iterator[Place]:
    groups: dict[tuple[str, int], list[Depicted]] = {}
    for region in regions:
        groups.setdefault((region.to_name, region.item_index or 0), []).append(region)
    names = {name for name, _ in groups}
    for (name, index), here in groups.items() or [(("", 0), [])]:
        address = _address(submitted.data, name, index, alone=len(names) < 2)
        if here or PurePosixPath(urlsplit(address).path).suffix.lower() in SUFFIXES:
            yield Place(address, here, None)


def _address(data: Mapping[str, Any], name: str, index: int, *, alone: bool) -> str:
    """The task's data don't say which of them is the picture: one named as the tag; else, where there is but one tag,
    what ends as pictures do, or looks like an address."""
    values = {key: value for key, value in data.items() if _text(value, index)}
    if name in values:
        return _text(values[name], index)
    texts = [_text(value, index) for value in values.values()] if alone else []
    pictures = [text for text in texts if PurePosixPath(urlsplit(text).path).suffix.lower() in SUFFIXES]
    return next(iter((*pictures, *(text for text in texts if "/" in text))), "")


def _text(value: Any, index: int) -> str:
    """That at a place of a list, or the only one; empty where there is none."""
    texts = value if isinstance(value, list) else [value]
    return texts[index] if index < len(texts) and isinstance(texts[index], str) else ""
