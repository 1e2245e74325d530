"""What a task carries already and asks for a mask with: boxes, clicks and outlines of people or of a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from label_studio_sam2.labelstudio import prompts
from label_studio_sam2.labelstudio.controls import LABELS, TAGS, LabelingConfig, Shape
from label_studio_sam2.labelstudio.prompts import RegionPrompt
from label_studio_sam2.labelstudio.protocol import Region, Task
from label_studio_sam2.labelstudio.values import shape_of

DETAIL: Mapping[Shape | None, int] = {
    "keypoint": 0,
    "rectangle": 1,
    "ellipse": 2,
    "polygon": 3,
    "vector": 3,
    "brush": 4,
    "bitmask": 4,
}
"""How much of an object a shape tells: a prompt is what tells less than the outputs can show."""


def prompts_in(task: Task, config: LabelingConfig, ours: Callable[[str], bool]) -> list[RegionPrompt]:
    """The objects to make masks of, from the first source that has any: the newest annotation before the newest
    prediction of another model before the task's data.

    A source that holds an object in the most detailed shape that the config can show is finished, and asks for
    nothing; `ours` tells our own predictions by their model version. Each region is an object, but where there are
    negative clicks, clicks of one label mean one object, as in the editor. Raises PromptError.
    """
    for regions in _sources(task, ours):
        drawn = [region for region in regions if _detail(region) is not None]
        finest = max((_finest(region, config) for region in drawn), default=0)
        details = [_detail(region) or 0 for region in drawn]
        if not drawn or max(details) >= finest:
            continue
        if any(region.get("is_positive") is False for region in drawn):
            return prompts.from_regions(regions, config)
        return [one for same in _by_id(regions) for one in prompts.from_regions(same, config)]
    return []


def _sources(task: Task, ours: Callable[[str], bool]) -> Iterator[Sequence[Region]]:
    for annotation in _newest_first(task.annotations):
        if not annotation.get("was_cancelled"):
            yield _regions(annotation.get("result"))
    for prediction in _newest_first(task.predictions):
        if not ours(str(prediction.get("model_version") or "")):
            yield _regions(prediction.get("result"))
    for value in task.data.values():
        yield _regions(value)


def _newest_first(items: Any) -> list[Mapping[str, Any]]:
    known = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return sorted(known, key=lambda item: item["id"] if isinstance(item.get("id"), int) else 0, reverse=True)


def _regions(value: Any) -> list[Region]:
    """The regions in a `result`, in a prediction, or in a list of predictions, of which the first that has any."""
    if isinstance(value, dict):
        return _regions(value.get("result"))
    if not isinstance(value, list):
        return []
    items = [item for item in value if isinstance(item, dict)]
    found = [
        item for item in items if item.get("type") in (*TAGS, LABELS) and isinstance(item.get("value"), dict)
    ]
    return found or next((inner for item in items if "result" in item and (inner := _regions(item))), [])


def _detail(region: Region) -> int | None:
    """None for what is no shape on a picture."""
    return DETAIL.get(shape_of(region["value"]))


def _finest(region: Region, config: LabelingConfig) -> int:
    """The detail of the finest output that the region's object has."""
    to_name = config.object(region.get("to_name")).name
    return max((DETAIL.get(c.tag.shape, 0) for c in config.outputs(to_name)), default=0)


def _by_id(regions: Sequence[Region]) -> list[list[Region]]:
    """Items of one region together: a separated config has two of one id."""
    groups: dict[Any, list[Region]] = {}
    for number, region in enumerate(regions):
        groups.setdefault(number if region.get("id") is None else str(region["id"]), []).append(region)
    return list(groups.values())
