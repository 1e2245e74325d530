"""The use case: a task's prompts become its masks. With fit, the only place that knows both halves."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any

from label_studio_sam2 import batch, warming
from label_studio_sam2.errors import ServiceError, Superseded
from label_studio_sam2.labelstudio import labeling_config, prompts, results
from label_studio_sam2.labelstudio.protocol import Prediction, PredictRequest, Region, Task, predict_response
from label_studio_sam2.pictures import by_picture, picture
from label_studio_sam2.service import Service
from label_studio_sam2.timing import stage
from label_studio_sam2.track import track

log = logging.getLogger(__name__)

VIDEO = "videorectangle"
"""The type of the regions that a video is prompted with."""

PREDICT_EVENTS = (None, "predict")
"""What the editor of 1.23.2 and the coming one send for "a mask, now"; any other event gets an empty result."""


def predict(request: PredictRequest, service: Service) -> dict[str, Any]:
    """The answer to POST /predict. What goes wrong is raised, and kept for the project's status."""
    if request.context is None and len(request.tasks) == 1:
        warming.opened(request, service)
    if request.context is None or request.everything:
        return batch.answer(request, service)
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
    came = monotonic()
    segmenter, model = service.segmenter(), service.model(request.project_id)
    config = labeling_config.parse(request.label_config)
    video = next((tag for tag in config.objects.values() if tag.kind == "Video"), None)
    if video is not None and any(region.get("type") == VIDEO for region in request.context.result):
        return track(
            request.context.result, task, video, config.options(video.name), model=model, service=service
        )
    asked = prompts.from_regions(request.context.result, config)
    for prompt in asked:
        results.answering(prompt, config)  # a config without output is said before anything is fetched
    regions: list[Region] = []
    scores: list[float] = []
    for (tag, index), here in by_picture(asked, config).items():
        embedded = segmenter.embed(picture(task, tag, index, service))
        found = segmenter.segment(
            embedded,
            [prompt.scaled(embedded.size) for prompt in here],
            model=model,
            candidates=config.options(tag.name).candidates,
            supersedes=(task.id, here[0].ids[:1]),
            since=came,
        )
        with stage("regions"):
            for prompt, masks in zip(here, found, strict=True):
                regions += results.to_regions(masks, prompt, config)
                scores += [mask.score for mask in masks]
    return Prediction(regions, max(scores, default=None), model.version)


def nothing(service: Service) -> Prediction:
    """No mask: an entry that shows nothing, in the shape that the editor wants."""
    return Prediction([], None, service.model_version())
