"""The model that answers a project's clicks: the base, or a version of it that is tuned to the project.

What is in use is looked up by one stat, so a click doesn't depend on how many versions there are, and what another
process chooses answers the next click.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from threading import Lock

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.versions import Versions
from label_studio_sam2.errors import CheckpointError, UnknownVersion

log = logging.getLogger(__name__)

KEPT_IN_MEMORY = 32
"""Projects whose tuned decoder stays loaded: 16 MiB each for SAM 2.1."""


class TunedModels:
    """The tuned decoders that were used last, loaded. Safe to share between threads."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._loaded: OrderedDict[int, tuple[object, Model]] = OrderedDict()
        self._lock = Lock()

    def get(self, base: Model, project: int | None) -> Model:
        """The base with the project's tuned decoder, or the base itself where there is none, or where it is damaged
        or of another base, which is logged once."""
        if project is None or (stamp := self._versions.stamp(project)) is None:
            return base
        key = (base.hash, stamp)
        with self._lock:
            loaded = self._loaded.get(project)
            if loaded is None or loaded[0] != key:
                loaded = key, self._load(base, project)
                self._loaded[project] = loaded
            self._loaded.move_to_end(project)
            while len(self._loaded) > KEPT_IN_MEMORY:
                self._loaded.popitem(last=False)
            return loaded[1]

    def _load(self, base: Model, project: int) -> Model:
        try:
            number = self._versions.active(project)
            return base if number is None else self._versions.load(base, self._versions.get(project, number))
        except (CheckpointError, UnknownVersion) as error:
            log.warning("%s Until then its clicks are answered by %s.", error.detail, base.version)
            return base
