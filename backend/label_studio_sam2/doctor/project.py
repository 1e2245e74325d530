"""Can a project's labeling config give masks, and can its tasks' media be had."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from label_studio_sam2.doctor.check import Check
from label_studio_sam2.doctor.look import Look
from label_studio_sam2.errors import LabelConfigError, ServiceError
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import ObjectTag
from label_studio_sam2.labelstudio.config.leaving import leaving
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap
from label_studio_sam2.media_files.videos import Video

MOST_MEDIA = 10
"""Of one task: a document's pages lie side by side."""

EXPORTS = "exports"
MEDIA = "media"
FRAME_RATE = "frame rate"


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
        for problem in labeling_config.lint(project.get("label_config"))
    ]
    return found or [
        Check("labeling config", "ok", "It has a smart tag to prompt with and an output tag.", project=number)
    ]


def exports(project: dict[str, Any]) -> list[Check]:
    """What Label Studio's own exports will hold of the project's pictures, before anybody labels a thousand."""
    number = int(project["id"])
    try:
        parsed = labeling_config.parse(project.get("label_config"))
    except LabelConfigError:
        return []
    found = [leaving(parsed, tag.name) for tag in parsed.objects.values() if tag.kind == "Image"]
    surprises = [Check(EXPORTS, "warning", *surprise, number) for one in found for surprise in one.surprises]
    titles = ", ".join(dict.fromkeys(title for one in found for title in one.right)) or "only JSON and CSV"
    sentence = f"Label Studio's own exports of it: {titles}. `label-studio-sam2 export` writes every format."
    return surprises or ([Check(EXPORTS, "ok", sentence, project=number)] if found else [])


def media(client: LabelStudioClient, look: Look, project: dict[str, Any]) -> list[Check]:
    """Whether the newest task's pictures or video can be fetched from here; fetched in a thorough look only.

    Raises LabelStudioError where Label Studio can't be asked for a task.
    """
    number = int(project["id"])
    try:
        labeling_config.parse(project.get("label_config"))
    except LabelConfigError:
        return []
    task = project_tasks.newest(client, number)
    if task is None:
        sentence = "The project has no tasks yet."
        remedy = f"Import some: `label-studio-sam2 connect --project {number} --import FOLDER`."
        return [Check(MEDIA, "warning", sentence, remedy, number)]
    store = look.media
    if store is None:
        return look.found_before(number, MEDIA, FRAME_RATE)

    try:
        parsed = labeling_config.parse(project.get("label_config"), task.data)
    except LabelConfigError as error:
        return [Check.failed(MEDIA, error, number)]
    some = islice(parsed.objects.values(), MOST_MEDIA)
    return [check for tag in some for check in _medium(tag, task, store, number)]


def _medium(tag: ObjectTag, task: Task, store: MediaStore, project: int) -> Iterator[Check]:
    try:
        file = store.fetch(tag.address(task.data), task_id=task.number)
        video = Video.open(file.path) if tag.kind == "Video" else None
    except ServiceError as error:
        yield Check.failed(MEDIA, error, project)
        return
    yield Check(MEDIA, "ok", f"{file.url} can be fetched.", project=project)
    if video is None:
        return
    frames = FrameMap.of(video, tag.frame_rate(task.data), Counted())
    for said in (frames.disagreement(video.rate), frames.note):
        if said:
            sentence, _, remedy = said.partition(". ")
            yield Check(FRAME_RATE, "warning", sentence + ".", remedy, project)
