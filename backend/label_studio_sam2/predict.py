"""The story: a task's prompts become its masks. Whoever asks, for whatever, is told apart here, on one screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from label_studio_sam2.clicks import film, picture, video, video_words, words
from label_studio_sam2.context import Context
from label_studio_sam2.errors import NobodyWaits, Superseded, known
from label_studio_sam2.labelstudio.api.protocol import (
    Interactive,
    Prediction,
    PredictRequest,
    Task,
    predict_response,
)
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.words import is_text
from label_studio_sam2.prelabels import batch, warming
from label_studio_sam2.request.whose import Whose, working_for

PREDICT_EVENTS = (None, "predict")
"""What the editor of 1.23.2 and the coming one send for "a mask, now"; any other event gets an empty result."""


def predict(request: PredictRequest, context: Context) -> dict[str, Any]:
    """The answer to POST /predict. What goes wrong is raised, and kept for the project's status."""
    task = request.tasks[0].id if len(request.tasks) == 1 else None
    try:
        with working_for(Whose(request.project_id, task)):
            return _answer(request, context)
    except NobodyWaits:
        raise
    except Exception as error:
        problem = known(error)
        context.problems.record(request.project_id, type(problem).__name__, problem.detail)
        if problem is error:
            raise
        raise problem from error


def waits_long(request: PredictRequest) -> bool:
    """Whether the answer is waited for longer than a click: while a job is at it, or the first words are."""
    drawn = request.interactive.regions if request.interactive else []
    long = (video.is_video, is_text)
    return (
        request.interactive is None
        or request.everything
        or film.may_be(request.label_config)
        or any(one(item) for one in long for item in drawn)
    )


def _answer(request: PredictRequest, context: Context) -> dict[str, Any]:
    if request.interactive is None and len(request.tasks) == 1:
        warming.task_opened(request, context)
    if request.interactive is None or request.everything:
        return batch.predict(request, context)
    if request.interactive.event not in PREDICT_EVENTS or not request.tasks:
        return predict_response(nothing(context))
    began = datetime.now(UTC)
    try:
        prediction = click(request.interactive, request.tasks[0], request, context)
    except Superseded:
        return predict_response(nothing(context))
    if prediction.left_out:
        context.problems.left_out(request.project_id, request.tasks[0].id, prediction.left_out)
    elif prediction.unlabelled:
        context.problems.unlabelled(request.project_id, request.tasks[0].id, prediction.unlabelled)
    else:
        context.problems.clear(
            request.project_id, before=began
        )  # a track may fail and yet answer what it found
    return predict_response(prediction)


def click(interactive: Interactive, task: Task, request: PredictRequest, context: Context) -> Prediction:
    """Masks for what the annotator has drawn on one task."""
    model = context.model(request.project_id)
    config = labeling_config.parse(request.label_config, task.data)
    if video_words.meant(interactive.result, config):
        return video_words.find(interactive.result, task, config, model, context, project=request.project_id)
    if video.meant(interactive.regions, config):
        return video.track(interactive.regions, task, config, model, context, project=request.project_id)
    if words.meant(interactive.result, config):
        return words.find(interactive.result, task, config, model, context, project=request.project_id)
    if film.meant(interactive.result, task, config):
        return film.follow(interactive.result, task, config, model, context, project=request.project_id)
    return picture.segment(interactive.result, task, config, model, context, project=request.project_id)


def nothing(context: Context) -> Prediction:
    """No mask: an entry that shows nothing, in the shape that the editor wants."""
    return Prediction([], None, context.model_version())
