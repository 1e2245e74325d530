"""The routes: each reads its request and asks the use case that answers it. What a request means isn't decided here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles

from label_studio_sam2 import demo
from label_studio_sam2.context import Context
from label_studio_sam2.errors import Unauthorized
from label_studio_sam2.labelstudio.api.protocol import PredictRequest, SetupRequest, WebhookEvent
from label_studio_sam2.learning import webhooks
from label_studio_sam2.predict import predict, waits_long
from label_studio_sam2.server import project_jobs, status, version_choice
from label_studio_sam2.server.answers import to_json
from label_studio_sam2.server.bodies import Room, loads
from label_studio_sam2.server.guard import WANTED
from label_studio_sam2.server.in_thread import in_thread
from label_studio_sam2.server.metrics import Metrics
from label_studio_sam2.server.project_jobs import ProjectJob
from label_studio_sam2.server.version_choice import VersionChoice

THREADS = (4, 4, 64, 64, 4)
"""Handshakes, bodies of predictions parsed, clicks, tracks and batches, and events: each at once. None waits for a
thread behind others: Label Studio gives a handshake 3 s, and a track sits in its thread for PREDICT_BUDGET."""

JOB_THREADS = 8
STATUS_THREADS = 4

MAX_BODY, MAX_BODIES = 256 << 20, 1 << 30
"""Bodies carry every earlier mask of a task, but not more than this, each and at once."""

MAX_EVENT, MAX_EVENTS = 32 << 20, 64 << 20
"""Events and handshakes: whoever sends one needs no password."""

MAX_JOB = 1 << 20

SMALL_BODY = 64 << 10
"""Parsed at once, in less time than a thread takes to begin: what a click sends."""

PAGE = Path(__file__).parent / "page"
PAGE_HEADERS = {
    "Vary": "Accept",
    "Cache-Control": "no-cache",
    # Media come from wherever the annotator's address points, and small ones as data.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob: http: https:; media-src 'self' data: blob: http: https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
}


def add_routes(app: FastAPI, context: Context, metrics: Metrics) -> None:
    """All that the service answers."""
    _add_probes(app, context, metrics)
    _add_wire(app, context)
    _add_jobs(app, context)
    _add_page(app)


def _add_probes(app: FastAPI, context: Context, metrics: Metrics) -> None:
    """Routes that answer whatever the device is doing; only after a failure /ready tries it."""
    tries, statuses = CapacityLimiter(1), CapacityLimiter(STATUS_THREADS)

    @app.get("/health")
    async def health() -> Response:
        return to_json(status.health(context))

    @app.get("/")
    async def index(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)
        found = await to_thread.run_sync(status.status, context, limiter=statuses)
        return to_json(found, headers={"Vary": "Accept"})

    @app.post("/checks")
    async def checks() -> Response:
        context.checks.begin()
        return to_json(context.checks.latest(), 202)

    @app.get("/ready")
    async def ready() -> Response:
        segmenter = context.segmenter()
        if segmenter.lane.failures:
            await to_thread.run_sync(segmenter.check, limiter=tries, abandon_on_cancel=True)
        return to_json({"status": "READY", "model_version": segmenter.model.version})

    @app.get("/versions")
    async def versions() -> Response:
        return to_json(await to_thread.run_sync(status.versions, context))

    @app.get("/reports/{project}/{number}")
    async def report(project: int, number: int) -> Response:
        page = await to_thread.run_sync(context.tuned.report, project, number)
        return FileResponse(page, media_type="text/html", headers=REPORT_HEADERS)

    @app.get("/metrics")
    async def metrics_() -> Response:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")


def _add_wire(app: FastAPI, context: Context) -> None:
    """Label Studio's own routes. They are answered in a thread; large bodies are parsed in one, too."""
    bodies, events = Room(MAX_BODY, MAX_BODIES), Room(MAX_EVENT, MAX_EVENTS)
    setups, parsing, clicks, waits, reads = (CapacityLimiter(threads) for threads in THREADS)

    @app.post("/setup")
    async def setup(request: Request) -> Response:
        async with events.body(request) as body:
            return await in_thread(
                request,
                lambda: to_json(status.setup(SetupRequest.model_validate(loads(body)), context)),
                setups,
            )

    @app.post("/predict")
    async def predict_(request: Request) -> Response:
        async with bodies.body(request) as body:
            if len(body) <= SMALL_BODY:
                asked = PredictRequest.model_validate(loads(body))
            else:
                asked = await in_thread(request, lambda: PredictRequest.model_validate(loads(body)), parsing)
            limiter = waits if waits_long(asked) else clicks
            return await in_thread(request, lambda: to_json(predict(asked, context)), limiter)

    async def event(request: Request, **more: str) -> WebhookEvent:
        async with events.body(request) as body:
            return await in_thread(request, lambda: WebhookEvent.model_validate(loads(body) | more), reads)

    @app.post("/webhook")
    async def webhook(request: Request) -> Response:
        read = await event(request)
        if read.action == webhooks.START and not request.state.known:
            raise Unauthorized(WANTED)
        return to_json(await in_thread(request, lambda: project_jobs.event(read, context), reads), 202)

    @app.post("/train")
    async def train(request: Request) -> Response:
        read = await event(request, action=webhooks.START)
        return to_json(await in_thread(request, lambda: project_jobs.event(read, context), reads), 201)


def _add_jobs(app: FastAPI, context: Context) -> None:
    room, threads = Room(MAX_JOB, MAX_EVENTS), CapacityLimiter(JOB_THREADS)

    @app.get("/jobs")
    async def jobs() -> Response:
        return to_json({"jobs": await to_thread.run_sync(context.job_records.all, limiter=threads)})

    @app.post("/jobs")
    async def start_job(request: Request) -> Response:
        async with room.body(request) as body:
            asked = ProjectJob.model_validate(loads(body))
        return to_json(await to_thread.run_sync(project_jobs.start, asked, context, limiter=threads), 202)

    @app.post("/versions")
    async def choose(request: Request) -> Response:
        async with room.body(request) as body:
            asked = VersionChoice.model_validate(loads(body))
        return to_json(await to_thread.run_sync(version_choice.choose, asked, context, limiter=threads))

    @app.get("/jobs/{job_id}")
    async def job(job_id: str) -> Response:
        return to_json(await to_thread.run_sync(context.job_records.get, job_id, limiter=threads))

    @app.delete("/jobs/{job_id}")
    async def cancel(job_id: str) -> Response:
        found = await to_thread.run_sync(context.job_records.cancel, job_id, limiter=threads)
        return to_json(found, 202)


def _add_page(app: FastAPI) -> None:
    """The files of the status and playground page, and the samples that it offers."""
    for sample in (demo.SAMPLE_IMAGE, demo.SAMPLE_CLIP):
        app.add_route(f"/web/{sample.name}", partial(_file, sample))

    @app.get("/docs")
    async def docs() -> Response:
        return FileResponse(PAGE / "docs.html", headers=PAGE_HEADERS)

    app.mount("/web", Fresh(directory=PAGE))


class Fresh(StaticFiles):
    """Files that browsers ask about again each time (an answer without content while they are the same)."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _file(path: Path, _request: Request) -> Response:
    return FileResponse(path)
