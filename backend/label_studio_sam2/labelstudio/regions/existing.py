"""What a task carries already and asks for a mask with: boxes, clicks and outlines of people or of a detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from label_studio_sam2.errors import RequestError
from label_studio_sam2.labelstudio.api.protocol import Region, Task
from label_studio_sam2.labelstudio.config.controls import LABELS, TAGS, LabelingConfig, Shape
from label_studio_sam2.labelstudio.regions import prompts
from label_studio_sam2.labelstudio.regions.drawn import by_id, each_alone, known_type
from label_studio_sam2.labelstudio.regions.prompts import Asked
from label_studio_sam2.labelstudio.regions.values import shape_of

KNOWN = frozenset({*TAGS, LABELS})

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


def prompts_in(task: Task, config: LabelingConfig, ours: Callable[[str], bool]) -> Asked:
    """The objects to make masks of, from the first source that has any: the newest annotation before the newest
    prediction of another model before the task's data.

    A source that holds an object in the most detailed shape that the config can show is finished, and asks for
    nothing; `ours` tells our own predictions by their model version. Each region is an object, but where there are
    negative clicks, clicks of one label mean one object, as in the editor. Regions that can't be read are left out;
    where that is all there is, their error is raised: PromptError or LabelConfigError.
    """
    left_out: list[RequestError] = []
    for regions in _sources(task, ours):
        drawn = [region for region in regions if _detail(region) is not None]
        finest = max((_finest(region, config) for region in drawn), default=0)
        details = [_detail(region) or 0 for region in drawn]
        if not drawn or max(details) >= finest:
            continue
        together = any(region.get("is_positive") is False for region in drawn)
        found, unreadable = each_alone(
            lambda asking: prompts.from_regions(asking, config), [regions] if together else by_id(regions)
        )
        left_out += [*unreadable, *(error for asked in found for error in asked.left_out)]
        if asking := [prompt for asked in found for prompt in asked.prompts]:
            return Asked(asking, left_out)
    if left_out:
        raise left_out[0]
    return Asked([], [])


def accepted_in(task: Task, config: LabelingConfig) -> Asked:
    """The objects of the newest annotation that has any, each by what tells most of it: what was drawn in less detail
    only asked for that."""
    regions = next(
        (
            drawing
            for annotation in _newest_first(task.annotations)
            if not annotation.get("was_cancelled") and (drawing := _regions(annotation.get("result")))
        ),
        [],
    )
    finest = max((_detail(region) or 0 for region in regions), default=0)
    kept = [region for region in regions if _detail(region) in {None, finest}]
    found, left_out = each_alone(
        lambda asking: prompts.from_regions(asking, config), by_id(kept) if finest else [kept] if kept else []
    )
    left_out += [error for asked in found for error in asked.left_out]
    return Asked([prompt for asked in found for prompt in asked.prompts], left_out)


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
        value = value.get("result")
    items = [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
    return _drawing(items) or next((inner for item in items if (inner := _drawing(item.get("result")))), [])


def _drawing(items: Any) -> list[Region]:
    """Those items of a `result` that draw a region or name its label."""
    return [
        item
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict) and known_type(item) in KNOWN and isinstance(item.get("value"), dict)
    ]


def _detail(region: Region) -> int | None:
    """None for what is no shape on a picture."""
    return DETAIL.get(shape_of(region["value"]))


def _finest(region: Region, config: LabelingConfig) -> int:
    """The detail of the finest output that the region's object has."""
    to_name = config.object(region.get("to_name")).name
    return max((DETAIL.get(c.tag.shape, 0) for c in config.outputs(to_name)), default=0)
