"""What one running service holds open, and its answers to everything but /predict."""

from __future__ import annotations

from typing import Any

from label_studio_sam2 import __version__
from label_studio_sam2.engine.opening import Opening, open_segmenter
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import NotReady
from label_studio_sam2.jobs import Jobs
from label_studio_sam2.labelstudio import labeling_config
from label_studio_sam2.labelstudio.media import MediaStore
from label_studio_sam2.labelstudio.protocol import SetupRequest, WebhookEvent
from label_studio_sam2.metrics import Gauges, Metrics
from label_studio_sam2.problems import Problems
from label_studio_sam2.settings import Settings

MODEL_CLASS = "SAM2"


class Service:
    """Opened by the application's lifespan; shared by all its requests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics(self._gauges)
        self.problems = Problems()
        self.jobs = Jobs()
        self.media = MediaStore.of(settings)
        self._opening: Opening | None = None

    def open(self) -> None:
        """Starts to load the model, without waiting for it."""
        self._opening = Opening(lambda: open_segmenter(self.settings))

    def close(self) -> None:
        """Finishes what runs; jobs are cancelled."""
        self.jobs.close()
        if self._opening is not None:
            self._opening.close()
        self.media.close()

    def segmenter(self) -> Segmenter:
        """The open engine. Raises NotReady with the reason, without waiting."""
        if self._opening is None:
            raise NotReady("The service has not been started.")
        return self._opening.get()

    def model_version(self) -> str:
        """The loaded model's version, or the name of the one that is being loaded."""
        try:
            return self.segmenter().model.version
        except NotReady:
            return self.settings.model

    def health(self) -> dict[str, Any]:
        """Label Studio reads it within a second and wants JSON."""
        return {"status": "UP", "model_class": MODEL_CLASS, "model_version": self.model_version(), "version": __version__}

    def setup(self, request: SetupRequest) -> dict[str, Any]:
        """Remembers what is wrong with the label config; never waits for the model (Label Studio gives 3 seconds)."""
        self.media.learn_alias(request.hostname)
        errors = [problem for problem in labeling_config.lint(request.label_config) if problem.severity == "error"]
        if errors:
            self.problems.record(request.project_id, "LabelConfigError", errors[0].sentence)
        return {"model_version": self.model_version()}

    def webhook(self, event: WebhookEvent) -> dict[str, Any]:
        """Events are taken at once; the work comes later."""
        return {"status": "accepted", "action": event.action}

    def versions(self) -> list[str]:
        return [self.model_version()]

    def status(self) -> dict[str, Any]:
        """Health, and all that the status page shows."""
        live: dict[str, Any] = {"ready": False, "reason": None, "device": None, "cache": {}, "queue": {}}
        try:
            segmenter = self.segmenter()
        except NotReady as error:
            live["reason"] = error.detail
        else:
            live |= {
                "ready": True,
                "device": str(segmenter.model.device),
                "cache": segmenter.cache.stats(),
                "queue": segmenter.lane.waiting(),
            }
        return (
            self.health()
            | {"model": self.settings.model}
            | live
            | {"jobs": self.jobs.list(), "problems": self.problems.all()}
        )

    def _gauges(self) -> Gauges:
        try:
            segmenter = self.segmenter()
        except NotReady:
            return {"ready": {"": 0}}
        return {
            "ready": {"": 1},
            "queue": segmenter.lane.waiting(),
            "cache": segmenter.cache.stats(),
            "device_memory_bytes": segmenter.memory(),
        }
