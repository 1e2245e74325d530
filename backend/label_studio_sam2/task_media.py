"""A task's media: its pictures and its video, fetched now, decoded only as far as somebody needs their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import NamedTuple

from label_studio_sam2.context import Context
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.config.task_values import value_of
from label_studio_sam2.labelstudio.media.media_store import MediaFile
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.media_files import pictures
from label_studio_sam2.media_files.room import Room
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.request import asker
from label_studio_sam2.request.timing import stage
from label_studio_sam2.types import Area, Picture, Size, View

MASKS = Room(1 << 30)
"""For masks at their pictures' own size while they are made and written down."""

MASK_BYTES = 2
"""A pixel, with what is made of it on the way."""

Place = tuple[ObjectTag, int | None]
"""A picture of a task: its tag, and its place where the tag shows a list."""


class VideoFile(NamedTuple):
    """A task's video, by the hash of its file's bytes; its file stays as long as anybody refers to this."""

    digest: str
    video: Video
    file: MediaFile

    def picture(self, frame: int) -> Picture:
        """One frame as a picture of its own."""
        return Picture(f"{self.digest}-{frame}", lambda: self.video.frame(frame))


def picture(task: Task, place: Place, context: Context) -> Picture:
    """The task's picture: decoded only if it has to be encoded."""
    file = _file(task, place, context)

    def view(area: Area | None) -> View:
        return context.pictures.view(file.digest, file.path, file.url, area)

    return Picture(file.digest, lambda: view(None).pixels, pictures.note(file.path), view)


def room_for_masks(size: Size, count: int = 1) -> AbstractContextManager[None]:
    """For as long as somebody is at so many masks of a picture. Raises Busy where others' take too long."""
    return MASKS.taken(MASK_BYTES * count * size.height * size.width, "the masks of so large a picture")


def video(task: Task, tag: ObjectTag, context: Context) -> VideoFile:
    """The task's video, its frames indexed but not decoded."""
    file = _file(task, (tag, None), context)
    with stage("index"):
        return VideoFile(file.digest, context.videos.open(file.digest, file.path), file)


@dataclass(frozen=True)
class PictureList:
    """The pictures that a tag shows of a task's list, each fetched when it is asked for."""

    task: Task
    tag: ObjectTag
    context: Context

    @cached_property
    def addresses(self) -> Sequence[object]:
        """As they stand in the task's data; some may be none."""
        found = value_of(self.tag.value, self.task.data)
        return found if isinstance(found, list) else ()

    @property
    def digest(self) -> str:
        """Of the addresses: nothing of a long list is fetched before its turn."""
        return blake2b(repr(self.addresses).encode(), digest_size=16).hexdigest()

    def __len__(self) -> int:
        return len(self.addresses)

    def __getitem__(self, place: int) -> Picture:
        return picture(self.task, (self.tag, place), self.context)


@dataclass(frozen=True)
class TaskPictures(PictureList):
    """The pictures that a tag shows of several tasks, one of each."""

    tasks: Sequence[Task] = ()

    def __len__(self) -> int:
        return len(self.tasks)

    def __getitem__(self, place: int) -> Picture:
        return picture(self.tasks[place], (self.tag, None), self.context)


def shown(task: Task, config: LabelingConfig) -> Iterator[Place]:
    """Every picture that the task shows."""
    for tag in config.objects.values():
        if tag.kind == "Image":
            yield from ((tag, index) for index in tag.places(task.data))


def by_picture(prompts: Sequence[RegionPrompt]) -> Mapping[Place, Sequence[RegionPrompt]]:
    """The prompts of each picture, so that it is embedded once for all of them."""
    found: dict[Place, list[RegionPrompt]] = {}
    for prompt in prompts:
        found.setdefault((prompt.on, prompt.item_index), []).append(prompt)
    return found


def _file(task: Task, place: Place, context: Context) -> MediaFile:
    tag, index = place
    asker.check()
    with stage("fetch"):
        return context.media.fetch(tag.address(task.data, index), task_id=task.number)
