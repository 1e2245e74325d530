"""What one running service holds open, and nothing else: it answers no request."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir

from label_studio_sam2.background.deliveries import Deliveries
from label_studio_sam2.background.events import EVENTS_SECONDS, Events
from label_studio_sam2.background.jobs import Jobs
from label_studio_sam2.background.problems import Problems
from label_studio_sam2.background.shared.hosts import Hosts
from label_studio_sam2.background.shared.job_records import JobRecords
from label_studio_sam2.background.shared.store import SharedStore
from label_studio_sam2.background.tracking_runs import TrackingRuns
from label_studio_sam2.doctor import all_checks
from label_studio_sam2.doctor.in_background import BackgroundChecks
from label_studio_sam2.doctor.look import Look
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.opening import Opening, open_segmenter
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.tune import LIMITS, Limits
from label_studio_sam2.engine.tuning.tuned_models import TunedModels
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.engine.turn import CLICK
from label_studio_sam2.engine.words.detector import Detector
from label_studio_sam2.engine.words.finder import Finder
from label_studio_sam2.engine.words.opening import OnDemand, Tell, open_detector
from label_studio_sam2.errors import NotReady, WrongModel
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.media_files.indexed_videos import IndexedVideos
from label_studio_sam2.media_files.recent import RecentPictures
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import Settings


class Context:
    """Opened by the application's lifespan; shared by all its requests."""

    def __init__(
        self,
        settings: Settings,
        fit_limits: Limits = LIMITS,
        hopeless: Callable[[WrongModel], None] = lambda _: None,
        *,
        events_seconds: float = EVENTS_SECONDS,
        open_words: Callable[[Settings, Tell], Detector] = open_detector,
    ) -> None:
        """`hopeless` is told where MODEL can never be loaded; `open_words` opens the detector."""
        self.settings = settings
        self.shared = SharedStore(settings.redis_url, Outgoing.of(settings).authorities)
        self.problems = Problems(self.shared)
        self.jobs = Jobs()
        self.job_records = JobRecords(self.jobs, self.shared)
        self.events = Events(events_seconds)
        self.tuned = Versions(settings.model_cache / "versions")
        self.tuned_models = TunedModels(self.tuned)
        self.fit_limits = fit_limits
        self.tracking_runs = TrackingRuns(self.jobs, store=self.shared)
        self.deliveries = Deliveries(self.shared)
        self.label_studio = LabelStudioClient.of(settings)
        self.media = MediaStore.of(settings, media_folder(settings), self.label_studio)
        self.hosts = Hosts(self.media.recognise, self.shared)
        self.videos = IndexedVideos(settings.max_image_pixels)
        self.pictures = RecentPictures(settings.max_image_pixels)
        self.checks = BackgroundChecks(
            lambda before: all_checks.inside(settings, self.label_studio, Look(before=before)),
            lambda: all_checks.inside(settings, self.label_studio, Look(self.media)),
        )
        self.words = OnDemand(
            lambda tell: Finder(open_words(settings, tell), self.segmenter()),
            f"The detector {settings.detector_name}",
        )
        self._hopeless = hopeless
        self._opening: Opening | None = None

    def open(self) -> None:
        """Starts to load the model."""
        self.shared.open()
        self._opening = Opening(lambda: open_segmenter(self.settings), self._hopeless)

    def close(self) -> None:
        """Finishes what runs; jobs are cancelled, and other replicas begin again what they may."""
        self.shared.end_pulse()
        self.events.close()
        self.jobs.close()
        self.shared.close()
        if self._opening is not None:
            self._opening.close()
        self.label_studio.close()

    def segmenter(self) -> Segmenter:
        """The open engine. Raises NotReady with the reason, without waiting."""
        if self._opening is None:
            raise NotReady("The service has not been started.")
        return self._opening.get()

    def model(self, project: int | None) -> Model:
        """What answers a project's clicks: the loaded model, or a version of it that is tuned to the project."""
        segmenter = self.segmenter()
        return self.tuned_models.get(
            segmenter.model, project, lambda work: segmenter.lane.run(CLICK, work, grad=True)
        )

    def model_version(self, project: int | None = None) -> str:
        """The version that answers a project, or the name of the model that is being loaded."""
        try:
            return self.model(project).version
        except NotReady:
            return Path(self.settings.model).stem


def media_folder(settings: Settings) -> Path:
    """Where fetched media are kept: shared by the processes of one machine, bounded, and lost without harm."""
    return Path(settings.media_cache or Path(gettempdir()) / f"label-studio-sam2-{os.getuid()}")
