"""The use case: a task's prompts become its masks. With fit, the only place that knows both halves."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from label_studio_sam2 import images
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.errors import ServiceError, Superseded
from label_studio_sam2.jobs import Job
from label_studio_sam2.labelstudio import labeling_config, prompts, results
from label_studio_sam2.labelstudio.labeling_config import ObjectTag
from label_studio_sam2.labelstudio.protocol import Prediction, PredictRequest, Region, Task, predict_response
from label_studio_sam2.service import Service
from label_studio_sam2.timing import stage
from label_studio_sam2.track import track
from label_studio_sam2.types import Picture

log = logging.getLogger(__name__)

VIDEO = "videorectangle"
"""The type of the regions that a video is prompted with."""

PREDICT_EVENTS = (None, "predict")
"""What the editor of 1.23.2 and the coming one send for "a mask, now"; any other event gets an empty result."""


def predict(request: PredictRequest, service: Service) -> dict[str, Any]:
    """The answer to POST /predict. What goes wrong is raised, and kept for the project's status."""
    if request.context is None:
        return predict_response([opened(task, request, service) for task in request.tasks])
    if request.context.event not in PREDICT_EVENTS or not request.tasks:
        return predict_response([nothing(service)])
    try:
        prediction = interactive(request, request.tasks[0], service)
    except Superseded:
        return predict_response([nothing(service)])
    except ServiceError as error:
        service.problems.record(request.project_id, type(error).__name__, error.detail)
        raise
    service.problems.clear(request.project_id)
    return predict_response([prediction])


def interactive(request: PredictRequest, task: Task, service: Service) -> Prediction:
    """Masks for what the annotator has drawn on one task."""
    assert request.context is not None
    segmenter, model = service.segmenter(), service.model(request.project_id)
    config = labeling_config.parse(request.label_config)
    video = next((tag for tag in config.objects.values() if tag.kind == "Video"), None)
    if video is not None and any(region.get("type") == VIDEO for region in request.context.result):
        return track(request.context.result, task, video, config.options(video.name), service)
    asked = prompts.from_regions(request.context.result, config)
    for prompt in asked:
        results.answering(prompt, config)  # a config without output is said before anything is fetched
    regions: list[Region] = []
    scores: list[float] = []
    for tag, index in dict.fromkeys((config.object(prompt.to_name), prompt.item_index) for prompt in asked):
        here = [
            prompt for prompt in asked if (config.object(prompt.to_name), prompt.item_index) == (tag, index)
        ]
        embedded = segmenter.embed(picture(task, tag, index, service))
        found = segmenter.segment(
            embedded,
            [prompt.scaled(embedded.size) for prompt in here],
            model=model,
            candidates=config.options(tag.name).candidates,
            supersedes=(task.id, here[0].ids[:1]),
        )
        with stage("regions"):
            for prompt, masks in zip(here, found, strict=True):
                regions += results.to_regions(masks, prompt, config)
                scores += [mask.score for mask in masks]
    return Prediction(regions, max(scores, default=None), model.version)


def opened(task: Task, request: PredictRequest, service: Service) -> Prediction | None:
    """An opened task: its picture is encoded in the background, so that the first click finds it. Stores nothing."""
    with suppress(ServiceError):  # a picture that can't be had is reported to the click that needs it
        config = labeling_config.parse(request.label_config)
        if len(request.tasks) == 1 and config.object().kind == "Image":
            warm(task, config.object(), service)
    return None


def warm(task: Task, tag: ObjectTag, service: Service) -> None:
    """Encodes the task's (first) picture when the device has nothing better to do."""

    def work(_job: Job) -> None:
        service.segmenter().embed(picture(task, tag, None, service), Priority.PREWARM)

    service.jobs.submit("warm", ("warm", tag.address(task.data)), work, title=f"Task {task.id}")


def picture(task: Task, tag: ObjectTag, item_index: int | None, service: Service) -> Picture:
    """The task's picture: fetched now, decoded only if it has to be encoded."""
    task_id = task.id if isinstance(task.id, int) else None
    with stage("fetch"):
        file = service.media.fetch(tag.address(task.data, item_index), task_id=task_id)
    limit = service.settings.max_image_pixels
    return Picture(file.digest, lambda: images.read(file.path, max_pixels=limit, name=file.url))


def nothing(service: Service) -> Prediction:
    """No mask: an entry that shows nothing, in the shape that the editor wants."""
    return Prediction([], None, service.model_version())
