"""What one running service holds open, and its answers to everything but /predict."""

from __future__ import annotations

from dataclasses import asdict
from getpass import getuser
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from label_studio_sam2 import __version__, doctor
from label_studio_sam2.answers import Deliveries, Kept
from label_studio_sam2.checks.background import BackgroundChecks
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.opening import Opened, Opening, open_segmenter
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuned_models import TunedModels
from label_studio_sam2.engine.tuning import LIMITS, Limits
from label_studio_sam2.engine.versions import Versions
from label_studio_sam2.errors import LabelConfigError, NotReady
from label_studio_sam2.jobs import Jobs
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.client import LabelStudioClient
from label_studio_sam2.labelstudio.media import MediaStore
from label_studio_sam2.labelstudio.protocol import SetupRequest
from label_studio_sam2.metrics import Gauges, Metrics
from label_studio_sam2.problems import Problems
from label_studio_sam2.settings import Settings
from label_studio_sam2.tracking_runs import Runs

MODEL_CLASS = "SAM2"

MEDIA_FOLDER = Path(gettempdir()) / f"label-studio-sam2-{getuser()}"
"""Shared by the processes of one machine; bounded by the media store, and lost without harm."""


class Service:
    """Opened by the application's lifespan; shared by all its requests."""

    def __init__(self, settings: Settings, fit_limits: Limits = LIMITS) -> None:
        self.settings = settings
        self.metrics = Metrics(self._gauges)
        self.problems = Problems()
        self.checks = BackgroundChecks(lambda: doctor.inside(settings))
        self.jobs = Jobs(one_at_a_time=("fit", "masks", "warm project"))
        self.tuned = Versions(settings.model_cache / "versions")
        self.tuned_models = TunedModels(self.tuned)
        self.fit_limits = fit_limits
        self.fitted: dict[int, int] = {}
        self.runs = Runs(self.jobs)
        self.kept = Kept()
        self.deliveries = Deliveries()
        self.label_studio = LabelStudioClient(
            settings.label_studio_url, settings.label_studio_api_key.get_secret_value()
        )
        self.media = MediaStore(
            MEDIA_FOLDER,
            self.label_studio,
            allowed_hosts=settings.media_allowed_hosts,
            max_bytes=settings.max_media_mb << 20,
        )
        self._opening: Opening | Opened | None = None

    def open(self, *, wait: bool = False) -> None:
        """Starts to load the model; with `wait` loads it, or raises CheckpointError."""
        self._opening = (
            Opened(open_segmenter(self.settings)) if wait else Opening(lambda: open_segmenter(self.settings))
        )

    def close(self) -> None:
        """Finishes what runs; jobs are cancelled."""
        self.jobs.close()
        if self._opening is not None:
            self._opening.close()
        self.label_studio.close()

    def segmenter(self) -> Segmenter:
        """The open engine. Raises NotReady with the reason, without waiting."""
        if self._opening is None:
            raise NotReady("The service has not been started.")
        return self._opening.get()

    def model(self, project_id: int | None) -> Model:
        """What answers a project's clicks: the loaded model, or a version of it that is tuned to the project."""
        return self.tuned_models.get(self.segmenter().model, project_id)

    def model_version(self, project_id: int | None = None) -> str:
        """The version that answers a project, or the name of the model that is being loaded."""
        try:
            return self.model(project_id).version
        except NotReady:
            return Path(self.settings.model).stem

    def health(self) -> dict[str, Any]:
        """Label Studio reads it within a second and wants JSON."""
        return {
            "status": "UP",
            "model_class": MODEL_CLASS,
            "model_version": self.model_version(),
            "version": __version__,
        }

    def setup(self, request: SetupRequest) -> dict[str, Any]:
        """Remembers what is wrong with the label config; never waits for the model (Label Studio gives 3 seconds)."""
        if request.hostname:
            self.media.recognise(request.hostname)
        errors = [
            problem for problem in labeling_config.lint(request.label_config) if problem.severity == "error"
        ]
        if errors:
            sentence = f"{errors[0].sentence} {errors[0].remedy}"
            self.problems.record(request.project_id, LabelConfigError.__name__, sentence)
        else:
            self.problems.clear(request.project_id, LabelConfigError.__name__)
        return {"model_version": self.model_version(request.project_id)}

    def versions(self) -> dict[str, Any]:
        """The names of all versions, and what the tuned ones come from."""
        name = self.model_version()
        tuned = self.tuned.all()
        return {
            "versions": [name, *(f"{one.base}-{one.base_hash[:8]}+{one.name}" for one in tuned)],
            "tuned": [asdict(one) | {"report": f"/reports/{one.project}/{one.number}"} for one in tuned],
            "in_use": {
                str(project): self.tuned.active(project) for project in {one.project for one in tuned}
            },
        }

    def annotations_at_last_fit(self, project_id: int) -> int:
        """How many annotations the project had when it was tuned last; 0 where it never was."""
        if project_id not in self.fitted:
            last = self.tuned.latest(project_id)
            self.fitted[project_id] = last.counts.get("annotations", 0) if last else 0
        return self.fitted[project_id]

    def status(self) -> dict[str, Any]:
        """Health, and all that the status page shows; waits for nothing. It begins the checks where they are old."""
        live: dict[str, Any] = {"ready": False, "reason": None, "device": None, "cache": {}, "queue": {}}
        try:
            segmenter = self.segmenter()
        except NotReady as error:
            live["reason"] = error.detail
        else:
            live |= {
                "ready": True,
                "device": str(segmenter.model.device),
                "cache": _cache(segmenter),
                "queue": _queue(segmenter),
            }
        return (
            self.health()
            | {"model": self.settings.model}
            | live
            | {"jobs": self.jobs.list(), "problems": self.problems.all(), "checks": self.checks.latest()}
        )

    def _gauges(self) -> Gauges:
        try:
            segmenter = self.segmenter()
        except NotReady:
            return {"ready": {"": 0}}
        return {
            "ready": {"": 1},
            "queue": _queue(segmenter),
            "embedding_cache": _cache(segmenter),
            "device_memory_bytes": {"": segmenter.device_memory()},
        }


def _queue(segmenter: Segmenter) -> dict[str, float]:
    return {priority.name.lower(): waiting for priority, waiting in segmenter.lane.waiting().items()}


def _cache(segmenter: Segmenter) -> dict[str, float]:
    stats = segmenter.cache.stats()
    return {
        **{source.value: answers for source, answers in stats.answers.items()},
        "entries": stats.entries,
        "frames": stats.frames,
        "bytes": stats.nbytes,
        "capacity": segmenter.cache.capacity,
        "evictions": stats.evictions,
        "joined": stats.joined,
    }
