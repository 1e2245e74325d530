"""The pictures that a task shows: fetched, and decoded only if they have to be encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from label_studio_sam2 import images
from label_studio_sam2.labelstudio.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.prompts import RegionPrompt
from label_studio_sam2.labelstudio.protocol import Task
from label_studio_sam2.service import Service
from label_studio_sam2.timing import stage
from label_studio_sam2.types import Picture

Place = tuple[ObjectTag, int | None]
"""A picture of a task: its tag, and its place where the tag shows a list."""


def picture(task: Task, tag: ObjectTag, item_index: int | None, service: Service) -> Picture:
    """The task's picture: fetched now, decoded only if it has to be encoded."""
    task_id = task.id if isinstance(task.id, int) else None
    with stage("fetch"):
        file = service.media.fetch(tag.address(task.data, item_index), task_id=task_id)
    limit = service.settings.max_image_pixels
    return Picture(file.digest, lambda: images.read(file.path, max_pixels=limit, name=file.url))


def shown(task: Task, config: LabelingConfig) -> Iterator[Place]:
    """Every picture that the task shows."""
    for tag in config.objects.values():
        if tag.kind == "Image":
            found = task.data.get(tag.value_key) if tag.is_list else None
            yield from ((tag, index) for index in (range(len(found)) if isinstance(found, list) else (None,)))


def by_picture(
    prompts: Sequence[RegionPrompt], config: LabelingConfig
) -> Mapping[Place, Sequence[RegionPrompt]]:
    """The prompts of each picture, so that it is embedded once for all of them."""
    found: dict[Place, list[RegionPrompt]] = {}
    for prompt in prompts:
        found.setdefault((config.object(prompt.to_name), prompt.item_index), []).append(prompt)
    return found
