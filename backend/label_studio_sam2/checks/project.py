"""Can a project's labeling config give masks, and can its tasks' media be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from label_studio_sam2.checks.check import Check
from label_studio_sam2.engine.frames import Video
from label_studio_sam2.errors import LabelConfigError, ServiceError
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.client import LabelStudioClient
from label_studio_sam2.labelstudio.controls import ObjectTag
from label_studio_sam2.labelstudio.frame_map import DEFAULT_RATE, FrameMap
from label_studio_sam2.labelstudio.media import MediaFile, MediaStore


def config(project: dict[str, Any]) -> list[Check]:
    """What the labeling config lacks, or that it lacks nothing."""
    number = int(project["id"])
    found = [
        Check(
            "labeling config",
            "problem" if problem.severity == "error" else "warning",
            problem.sentence,
            problem.remedy,
            number,
        )
        for problem in labeling_config.lint(project["label_config"])
    ]
    return found or [
        Check("labeling config", "ok", "It has a smart tag to prompt with and an output tag.", project=number)
    ]


def media(client: LabelStudioClient, store: MediaStore, project: dict[str, Any]) -> list[Check]:
    """Whether the newest task's pictures or video can be fetched from here.

    Raises LabelStudioError where Label Studio can't be asked for a task.
    """
    number = int(project["id"])
    try:
        parsed = labeling_config.parse(project["label_config"])
    except LabelConfigError:
        return []
    task = next(iter(client.tasks(number, page_size=1)), None)
    if task is None:
        sentence = "The project has no tasks yet."
        remedy = f"Import some: `label-studio-sam2 connect --project {number} --import FOLDER`."
        return [Check("media", "warning", sentence, remedy, number)]

    def fetched(tag: ObjectTag) -> MediaFile:
        return store.fetch(tag.address(task["data"]), task_id=task["id"])

    return [check for tag in parsed.objects.values() for check in _medium(tag, fetched, number)]


def _medium(tag: ObjectTag, fetched: Callable[[ObjectTag], MediaFile], project: int) -> Iterator[Check]:
    try:
        file = fetched(tag)
        video = Video.open(file.path) if tag.kind == "Video" else None
    except ServiceError as error:
        yield Check.failed("media", error, project)
        return
    yield Check("media", "ok", f"{file.url} can be fetched.", project=project)
    frames = FrameMap(video.times, tag.given_frame_rate or DEFAULT_RATE, 1) if video else None
    if video and frames and (said := frames.disagreement(video.rate)):
        sentence, _, remedy = said.partition(". ")
        yield Check("frame rate", "warning", sentence + ".", remedy, project)
