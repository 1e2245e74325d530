"""The HTTP face: routes, lifespan, errors. What a request means is decided in the use cases, not here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from label_studio_sam2 import __version__, demo, fit, project_jobs
from label_studio_sam2.errors import RequestError, ServiceError, TooLarge
from label_studio_sam2.labelstudio.protocol import PredictRequest, SetupRequest, WebhookEvent
from label_studio_sam2.middleware import Requests
from label_studio_sam2.predict import predict
from label_studio_sam2.project_jobs import ProjectJob
from label_studio_sam2.service import Service
from label_studio_sam2.settings import Settings

log = logging.getLogger(__name__)

THREADS = 64
"""Requests handled at once; each mostly waits for the device lane."""

MAX_BODY = 256 << 20
"""Bodies carry every earlier mask of a task, but not more than this."""

WEB = Path(__file__).parent / "web"


def create_app(settings: Settings, service: Service | None = None) -> FastAPI:
    """The application; its lifespan opens the model, Redis and the media cache, and closes them."""
    service = service or Service(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.open()
        try:
            yield
        finally:
            await to_thread.run_sync(service.close)

    app = FastAPI(
        title="label-studio-sam2", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.add_middleware(
        Requests,
        user=settings.basic_auth_user,
        password=settings.basic_auth_pass.get_secret_value(),
        metrics=service.metrics,
    )
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _internal_error)
    _add_probes(app, service)
    _add_wire(app, service)
    _add_jobs(app, service)
    _add_page(app)
    return app


def _add_probes(app: FastAPI, service: Service) -> None:
    """Routes that answer from the event loop, whatever the device is doing."""

    @app.get("/health")
    async def health() -> Response:
        return _json(service.health())

    @app.get("/")
    async def index(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return FileResponse(WEB / "index.html", headers={"Vary": "Accept", "Cache-Control": "no-cache"})
        return _json(service.status(), headers={"Vary": "Accept"})

    @app.post("/checks")
    async def checks() -> Response:
        service.checks.begin()
        return _json(service.checks.latest(), 202)

    @app.get("/ready")
    async def ready() -> Response:
        return _json({"status": "READY", "model_version": service.segmenter().model.version})

    @app.get("/versions")
    async def versions() -> Response:
        return _json(await to_thread.run_sync(service.versions))

    @app.get("/reports/{project}/{number}")
    async def report(project: int, number: int) -> Response:
        return FileResponse(service.tuned.report(project, number), media_type="text/html")

    @app.get("/metrics")
    async def metrics() -> Response:
        return PlainTextResponse(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _add_wire(app: FastAPI, service: Service) -> None:
    """Label Studio's own routes. Bodies are parsed and answered in a thread: they can be megabytes."""
    threads = CapacityLimiter(THREADS)

    async def in_thread(request: Request, handle: Callable[[bytes], Any]) -> Response:
        body = await _body(request)
        return await to_thread.run_sync(lambda: _json(handle(body)), limiter=threads)

    @app.post("/setup")
    async def setup(request: Request) -> Response:
        return await in_thread(request, lambda body: service.setup(SetupRequest.model_validate(_loads(body))))

    @app.post("/predict")
    async def predict_(request: Request) -> Response:
        return await in_thread(
            request, lambda body: predict(PredictRequest.model_validate(_loads(body)), service)
        )

    @app.post("/webhook")
    async def webhook(request: Request) -> Response:
        event = WebhookEvent.model_validate(_loads(await _body(request)))
        return _json(fit.webhook(event, service), 202)

    @app.post("/train")
    async def train(request: Request) -> Response:
        event = WebhookEvent.model_validate(_loads(await _body(request)) | {"action": "START_TRAINING"})
        return _json(fit.webhook(event, service), 201)


def _add_jobs(app: FastAPI, service: Service) -> None:
    @app.get("/jobs")
    async def jobs() -> Response:
        return _json({"jobs": service.jobs.list()})

    @app.post("/jobs")
    async def start_job(request: Request) -> Response:
        asked = ProjectJob.model_validate(_loads(await _body(request)))
        return _json(await to_thread.run_sync(project_jobs.start, asked, service), 202)

    @app.get("/jobs/{job_id}")
    async def job(job_id: str) -> Response:
        return _json(service.jobs.get(job_id))

    @app.delete("/jobs/{job_id}")
    async def cancel(job_id: str) -> Response:
        return _json(service.jobs.cancel(job_id), 202)


def _add_page(app: FastAPI) -> None:
    """The files of the status and playground page, and the samples that it offers."""
    for sample in (demo.SAMPLE_IMAGE, demo.SAMPLE_CLIP):
        app.add_route(f"/web/{sample.name}", partial(_file, sample))
    app.mount("/web", Fresh(directory=WEB))


class Fresh(StaticFiles):
    """Files that browsers ask about again each time (an answer without content while they are the same)."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _file(path: Path, _request: Request) -> Response:
    return FileResponse(path)


async def _body(request: Request) -> bytes:
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise TooLarge(f"The request's body has more than {MAX_BODY >> 20} MiB. Send fewer tasks at once.")
    return await request.body()


def _loads(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The request's body is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise RequestError("The request's body must be a JSON object.")
    return content


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return Response(orjson.dumps(content, option=options), status, headers, "application/json")


def _error(status: int, name: str, detail: str, retry_after: int | None = None) -> Response:
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    return _json({"detail": detail, "error": name}, status, headers)


async def _service_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _error(error.status, type(error).__name__, error.detail, error.retry_after)


async def _malformed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ValidationError)
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return _error(422, "Malformed", f"{where or 'The body'}: {first['msg']}.")


async def _http_error(_request: Request, error: Exception) -> Response:
    """A route or a method that there isn't."""
    assert isinstance(error, HTTPException)
    return _error(
        error.status_code, "".join(error.detail.split()), f"{error.detail}. The README lists the routes."
    )


async def _internal_error(_request: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return _error(500, "InternalError", "Something went wrong inside the service; its log has the traceback.")
