"""Pictures of which parts were looked at last, decoded: a next part of one needs no decoding."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.media_files.large import PictureFile, cut
from label_studio_sam2.types import Area, Pixels, View

KEPT_BYTES = 300_000_000
"""One picture of 100 megapixels, or eight of twelve."""


class RecentPictures:
    """By the hash of the file's bytes. Safe to use from any thread."""

    def __init__(self, max_pixels: int, nbytes: int = KEPT_BYTES) -> None:
        self._max_pixels = max_pixels
        self._kept: LRUCache[str, Pixels] = LRUCache(nbytes, lambda pixels: pixels.nbytes)
        self._lock = Lock()

    def view(self, digest: str, path: Path, name: str, area: Area | None) -> View:
        """As `PictureFile.view`."""
        with self._lock:
            whole = self._kept.get(digest) if area else None
        if area and whole is not None:
            return View(cut(whole, area), area.size)
        return PictureFile(path, self._max_pixels, name, keep=partial(self._keep, digest)).view(area)

    def _keep(self, digest: str, pixels: Pixels) -> None:
        if pixels.nbytes <= self._kept.maxsize:
            with self._lock:
                self._kept[digest] = pixels
