"""The application: lifespan, middleware, and errors as answers. Its routes are in routes.py."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from label_studio_sam2 import __version__
from label_studio_sam2.background.shared.heirs import Heirs
from label_studio_sam2.context import Context
from label_studio_sam2.errors import DeviceFailed, InternalError, OutOfMemory, ServiceError
from label_studio_sam2.server import answers, status
from label_studio_sam2.server.guard import Guard
from label_studio_sam2.server.metrics import Metrics
from label_studio_sam2.server.middleware import Requests
from label_studio_sam2.server.openapi.document import document
from label_studio_sam2.server.project_jobs import ProjectJob, begin
from label_studio_sam2.server.routes import add_routes
from label_studio_sam2.settings import Settings

log = logging.getLogger(__name__)


class Application(FastAPI):
    """With a description of its own."""

    def openapi(self) -> dict[str, Any]:
        return document()


def create_app(settings: Settings, context: Context | None = None) -> FastAPI:
    """The application; its lifespan opens the model, Redis and the media cache, and closes them."""
    context = context or Context(settings)
    Heirs(context.job_records, context.shared, lambda again: begin(ProjectJob.model_validate(again), context))
    metrics = Metrics(lambda: status.gauges(context))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        context.open()
        try:
            yield
        finally:
            await to_thread.run_sync(context.close)

    app = Application(
        title="label-studio-sam2", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    password = settings.basic_auth_pass.get_secret_value()
    guard = Guard(settings.basic_auth_user, password, settings.allowed_hosts)
    app.add_middleware(Requests, guard=guard, metrics=metrics)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ValidationError, _malformed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    add_routes(app, context, metrics)
    return app


async def _service_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    if isinstance(error, InternalError | OutOfMemory | DeviceFailed):
        log.error("%s", error.detail, exc_info=error.__cause__ or error)
    return answers.of(error)


async def _malformed(_request: Request, error: Exception) -> Response:
    """Of a body, or of the address: FastAPI's own error has the same parts."""
    assert isinstance(error, ValidationError | RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answers.refusal(422, "Malformed", f"{where or 'The body'}: {first['msg']}.")


async def _http_error(_request: Request, error: Exception) -> Response:
    """A route or a method that there isn't."""
    assert isinstance(error, HTTPException)
    name = "".join(error.detail.split())
    return answers.refusal(error.status_code, name, f"{error.detail}. /docs lists the routes.", error.headers)
