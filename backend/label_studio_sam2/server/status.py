"""What the service says of itself: health, Label Studio's handshake, versions, the status page, the metrics' gauges."""

from __future__ import annotations

from typing import Any

from label_studio_sam2 import __version__
from label_studio_sam2.context import Context
from label_studio_sam2.engine.cache.redis_store import Kind
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import LabelConfigError, NotReady
from label_studio_sam2.labelstudio.api.protocol import SetupRequest
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.server.metrics import Gauges

MODEL_CLASS = "SAM2"


def health(context: Context) -> dict[str, Any]:
    """Label Studio reads it within a second and wants JSON."""
    return {
        "status": "UP",
        "model_class": MODEL_CLASS,
        "model_version": context.model_version(),
        "version": __version__,
    }


def setup(request: SetupRequest, context: Context) -> dict[str, Any]:
    """Remembers what is wrong with the label config; never waits for the model (Label Studio gives 3 seconds)."""
    if request.hostname:
        context.hosts.recognise(request.hostname)
    errors = [
        problem for problem in labeling_config.lint(request.label_config) if problem.severity == "error"
    ]
    if errors:
        sentence = f"{errors[0].sentence} {errors[0].remedy}"
        context.problems.record(request.project_id, LabelConfigError.__name__, sentence)
    else:
        context.problems.clear(request.project_id, LabelConfigError.__name__)
    return {"model_version": context.model_version(request.project_id)}


def versions(context: Context) -> dict[str, Any]:
    """The names of all versions, and what the tuned ones come from."""
    found = context.tuned.overview()
    names = (f"{one['base']}-{one['base_hash'][:8]}+{one['name']}" for one in found["tuned"])
    return {"versions": [context.model_version(), *names], **found}


def status(context: Context) -> dict[str, Any]:
    """Health, and all that the status page shows; it waits for Redis only. It begins the checks where they are old."""
    live: dict[str, Any] = {"ready": False, "reason": None, "device": None, "cache": {}, "queue": {}}
    try:
        segmenter = context.segmenter()
    except NotReady as error:
        live["reason"] = error.detail
    else:
        live |= {
            "ready": True,
            "device": str(segmenter.model.device),
            "cache": _cache(segmenter),
            "queue": _queue(segmenter),
        }
    return {
        **health(context),
        "model": context.settings.model,
        "detector": {"name": context.settings.detector_name, "state": context.words.state},
        "label_studio": context.settings.shown_label_studio,
        **live,
        "jobs": context.job_records.all(),
        "problems": context.problems.all(),
        "checks": context.checks.latest(),
    }


def gauges(context: Context) -> Gauges:
    """What /metrics reads when it is asked."""
    try:
        segmenter = context.segmenter()
    except NotReady:
        return {"ready": {"": 0}}
    return {
        "ready": {"": 1},
        "queue": _queue(segmenter),
        "embedding_cache": _cache(segmenter),
        "words_cache": _cache(segmenter, "words"),
        "detector_ready": {"": float(context.words.opened is not None)},
        "device_memory_bytes": segmenter.device_memory(),
    }


def _queue(segmenter: Segmenter) -> dict[str, float]:
    return {priority.name.lower(): waiting for priority, waiting in segmenter.lane.waiting().items()}


def _cache(segmenter: Segmenter, kind: Kind = "embedding") -> dict[str, float]:
    stats = segmenter.cache.stats(kind)
    return {
        **{source.value: answers for source, answers in stats.answers.items()},
        "entries": stats.entries,
        "frames": stats.frames,
        "bytes": stats.nbytes,
        "capacity": segmenter.cache.capacity,
        "evictions": stats.evictions,
        "joined": stats.joined,
    }
