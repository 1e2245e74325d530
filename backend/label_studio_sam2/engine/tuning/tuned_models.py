"""The model that answers a project's clicks: the base, or a version of it that is tuned to the project.

What is in use is looked up by one stat, so a click doesn't depend on how many versions there are, and what another
process chooses answers the next click.
"""

from __future__ import annotations

import logging
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.engine.turn import OnDevice, at_once
from label_studio_sam2.errors import CheckpointError, UnknownVersion
from label_studio_sam2.flights import Flights

log = logging.getLogger(__name__)

KEPT_IN_MEMORY = 32
"""Projects whose tuned decoder stays loaded: 16 MiB each for SAM 2.1."""


class TunedModels:
    """The tuned decoders that were used last, loaded. Safe to share between threads: a project's clicks wait while
    its decoder is read, those of others don't."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._loaded: LRUCache[int, tuple[object, Model]] = LRUCache(KEPT_IN_MEMORY)
        self._flights = Flights[Model]()
        self._lock = Lock()

    def get(self, base: Model, project: int | None, on_device: OnDevice = at_once) -> Model:
        """The base with the project's tuned decoder, or the base itself where there is none, or where it is damaged
        or of another base, which is logged once. Raises OutOfMemory where the device has no room for it now."""
        if project is None or (stamp := self._versions.stamp(project)) is None:
            return base
        wanted = (base.hash, stamp)
        return self._known(project, wanted) or self._flights.share(
            (project, wanted), lambda: self._load(base, project, wanted, on_device)
        )

    def _known(self, project: int, wanted: object) -> Model | None:
        with self._lock:
            stamp, model = self._loaded.get(project, (None, None))
        return model if stamp == wanted else None

    def _load(self, base: Model, project: int, wanted: object, on_device: OnDevice) -> Model:
        if (known := self._known(project, wanted)) is not None:
            return known
        model = self._read(base, project, on_device)
        with self._lock:
            self._loaded[project] = wanted, model
        return model

    def _read(self, base: Model, project: int, on_device: OnDevice) -> Model:
        try:
            number = self._versions.active(project)
            if number is None:
                return base
            return self._versions.load(base, self._versions.get(project, number), on_device)
        except (CheckpointError, UnknownVersion) as error:
            log.warning("%s Until then its clicks are answered by %s.", error.detail, base.version)
            return base
