"""What each task lacks of a data set, stored as predictions or annotations, task by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol

from label_studio_sam2.errors import LabelConfigError, LabelStudioError, NotReady, RequestError, ServiceError
from label_studio_sam2.imports.data_set import DataSet, DataSetPicture, Flaws
from label_studio_sam2.imports.kind import As
from label_studio_sam2.imports.regions import Canvas, to_regions
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.protocol import Region, Task
from label_studio_sam2.labelstudio.api.uploads import without_prefix
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag

NO_TASK = "pictures whose task Label Studio has not made yet: run the command again"
NO_MASKS = "pictures whose masks the service could not make"


@dataclass(frozen=True)
class Wish:
    """`name` is the data set's, for the predictions' model version; `url` what comes before a picture's name in its
    address, None where the pictures are uploaded."""

    project: int
    kind: As
    name: str
    url: str | None = None


class MakeMasks(Protocol):
    """Regions with masks of a task's boxes, and the version of the model that made them."""

    def __call__(self, task: Task, boxes: Sequence[Region]) -> tuple[list[Region], str]: ...


Watch = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and of how much."""


@dataclass
class Done:
    """What came of it."""

    tasks: int = 0
    stored: int = 0
    objects: int = 0
    there: int = 0
    flaws: Flaws = field(default_factory=Flaws)


@dataclass
class Storing:
    """What each task lacks of the data set, stored task by task."""

    client: LabelStudioClient
    data: DataSet
    wish: Wish
    config: LabelingConfig
    tag: ObjectTag
    names: Mapping[str, DataSetPicture]
    done: Done
    masks: MakeMasks | None

    def store_all(self, watch: Watch) -> None:
        left = dict(self.names)
        for task in project_tasks.tasks(self.client, self.wish.project, full=True):
            picture = left.pop(name_of(task, self.tag, self.wish.url), None)
            if picture is not None:
                self._task(task, picture)
                watch("storing", len(self.names) - len(left), len(self.names))
        for picture in left.values():
            if picture.path is not None or self.wish.url is not None:
                self.done.flaws.add(NO_TASK, picture.name)

    def _task(self, task: Task, picture: DataSetPicture) -> None:
        key = blake2b(picture.name.encode(), digest_size=4).hexdigest()
        if self._has(task, key):
            self.done.there += 1
            return
        try:
            result, version, objects = self._result(task, picture, key)
        except (LabelStudioError, LabelConfigError, NotReady):
            raise  # the next picture's would be the same
        except ServiceError as error:
            self.done.flaws.add(NO_MASKS, f"{picture.name}: {error.detail}")
            return
        assert task.number is not None
        if self.wish.kind is As.ANNOTATIONS:
            self.client.post(f"/api/tasks/{task.number}/annotations/", {"result": result})
        elif result:
            self.client.create_prediction(task.number, result, model_version=version)
        self.done.stored += self.wish.kind is As.ANNOTATIONS or bool(result)
        self.done.objects += objects

    def _has(self, task: Task, key: str) -> bool:
        """Whether the task has what this data set gives it: ids that begin with the picture's key tell it, and of a
        picture without an object an annotation that is empty too."""
        found = task.annotations if self.wish.kind is As.ANNOTATIONS else task.predictions
        results = [one.get("result") for one in found or () if isinstance(one, dict)]
        regions = [region for result in results if isinstance(result, list) for region in result]
        marked = any(str(region.get("id", "")).startswith(f"{key}-") for region in regions)
        return marked or (self.wish.kind is As.ANNOTATIONS and [] in results)

    def _result(self, task: Task, picture: DataSetPicture, key: str) -> tuple[list[Region], str, int]:
        """The regions, the version that they are stored by, and how many objects they are."""
        canvas = Canvas(self.config, self.tag, picture.size)
        things = list(self.data.things(picture, self.done.flaws))
        drawn = [
            (thing, to_regions(thing, f"{key}-{place}", canvas)) for place, thing in enumerate(things, 1)
        ]
        asking = [one for thing, regions in drawn if thing.boxed for one in regions]
        version = f"imported from {self.wish.name}"
        if self.masks is None or not asking:
            return [one for _, regions in drawn for one in regions], version, len(things)
        made, version = self.masks(task, asking)
        if not made:
            self.done.flaws.add(NO_MASKS, f"{picture.name}: none was found in its boxes.")
        return (
            [
                *(one for thing, regions in drawn if not thing.boxed for one in regions),
                *_marked(made, key),
            ],
            version,
            len(things),
        )


def _marked(regions: Sequence[Region], key: str) -> list[dict[str, Any]]:
    """With ids that begin with the key; items of one id keep one."""
    ids = {str(region.get("id")): f"{key}-m{place}" for place, region in enumerate(regions, start=1)}
    return [region | {"id": ids[str(region.get("id"))]} for region in regions]


def name_of(task: Task, tag: ObjectTag, url: str | None) -> str:
    """Empty where the task shows no picture."""
    try:
        address = tag.address(task.data)
    except RequestError:
        return ""
    return without_prefix(address) if url is None else address
