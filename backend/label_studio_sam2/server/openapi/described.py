"""The table of routes: what each is for, takes, answers and refuses. A test holds it to the routes that there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from label_studio_sam2 import errors
from label_studio_sam2.labelstudio.api.protocol import PredictRequest, SetupRequest, WebhookEvent
from label_studio_sam2.server.openapi import examples, shapes
from label_studio_sam2.server.project_jobs import ProjectJob
from label_studio_sam2.server.version_choice import VersionChoice

Errors = tuple[type[errors.ServiceError], ...]


class Described(NamedTuple):
    """`answer` is a shape, or the media type of what is no JSON. `errors` besides those that any route may answer."""

    method: str
    path: str
    summary: str
    status: int
    answer: type[BaseModel] | str
    answered: Mapping[str, Any] | None = None
    body: type[BaseModel] | None = None
    sent: Mapping[str, Any] | None = None
    errors: Errors = ()
    open: bool = False
    """Whether it asks for no password."""


BODY: Errors = (errors.RequestError, errors.TooSlow, errors.TooLarge, errors.NotJson, errors.Busy)
"""What any body may be refused for."""

PREDICT: Errors = (
    errors.Superseded,
    errors.MediaUnavailable,
    errors.MediaRefused,
    errors.MediaUnreadable,
    errors.LabelStudioError,
    errors.NotReady,
    errors.OutOfMemory,
)

ROUTES = (
    Described(
        "POST",
        "/predict",
        "Masks for one task with prompts, or for many tasks without",
        200,
        shapes.Predictions,
        examples.PREDICTED,
        PredictRequest,
        examples.PREDICT,
        BODY + PREDICT,
    ),
    Described(
        "POST",
        "/setup",
        "Label Studio's handshake; checks the label config",
        200,
        shapes.Version,
        examples.VERSION,
        SetupRequest,
        examples.SETUP,
        BODY,
    ),
    Described(
        "POST",
        "/webhook",
        "Label Studio's events. With a password set, annotation events go without it",
        202,
        shapes.EventTaken,
        examples.TAKEN,
        WebhookEvent,
        examples.EVENT,
        BODY,
        open=True,
    ),
    Described(
        "POST",
        "/train",
        "Tune the model to a project, as Start Training does",
        201,
        shapes.EventTaken,
        examples.TRAINING,
        WebhookEvent,
        examples.TRAIN,
        BODY,
    ),
    Described(
        "GET",
        "/health",
        "At once, whatever the device is doing",
        200,
        shapes.Health,
        examples.HEALTH,
        open=True,
    ),
    Described(
        "GET",
        "/ready",
        "Whether a first click has been answered",
        200,
        shapes.Ready,
        examples.READY,
        errors=(errors.NotReady, errors.CheckpointError),
        open=True,
    ),
    Described(
        "GET",
        "/",
        "All that the status page shows; with Accept: text/html, the page itself",
        200,
        shapes.Status,
    ),
    Described(
        "POST",
        "/checks",
        "Begin doctor's checks anew; GET / carries what they found last",
        202,
        shapes.Checks,
        examples.CHECKS,
    ),
    Described("GET", "/jobs", "What goes on in the background", 200, shapes.Jobs),
    Described(
        "POST",
        "/jobs",
        "Begin work on a whole project: warm, predict, follow or fit",
        202,
        shapes.Job,
        examples.JOB,
        ProjectJob,
        examples.START,
        (*BODY, errors.LabelStudioError),
    ),
    Described("GET", "/jobs/{job_id}", "One job", 200, shapes.Job, examples.JOB, errors=(errors.UnknownJob,)),
    Described(
        "DELETE", "/jobs/{job_id}", "Cancel a job", 202, shapes.Job, examples.JOB, errors=(errors.UnknownJob,)
    ),
    Described(
        "GET",
        "/versions",
        "The model's versions; tuned ones with where they come from",
        200,
        shapes.Versions,
        examples.VERSIONS,
    ),
    Described(
        "POST",
        "/versions",
        'Which version answers a project: a number, 0 (the base model) or "previous"',
        200,
        shapes.InUse,
        examples.IN_USE,
        VersionChoice,
        examples.CHOICE,
        (*BODY, errors.UnknownVersion),
    ),
    Described(
        "GET",
        "/reports/{project}/{number}",
        "A tuned version's report",
        200,
        "text/html",
        errors=(errors.UnknownVersion,),
    ),
    Described("GET", "/metrics", "For Prometheus", 200, "text/plain"),
    Described("GET", "/docs", "This description, for people", 200, "text/html"),
)
