"""Videos whose frames were indexed already: a file's packets are read once, however often it is clicked on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Lock

from cachetools import LRUCache

from label_studio_sam2.flights import Flights
from label_studio_sam2.media_files.videos import MAX_PIXELS, Video

KEPT_BYTES = 64 << 20
"""A frame takes about 20: some 3 million frames, a day and a half of video."""


class IndexedVideos:
    """The last ones, by the hash of the file's bytes. Safe to use from any thread."""

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._videos: LRUCache[str, Video] = LRUCache(KEPT_BYTES, getsizeof=lambda video: video.nbytes)
        self._lock = Lock()
        self._flights: Flights[Video] = Flights()

    def open(self, digest: str, path: Path) -> Video:
        """The video of this digest, which lies at `path` now. Raises as `Video.open` does."""
        return replace(self._flights.share(digest, lambda: self._opened(digest, path)), path=path)

    def _opened(self, digest: str, path: Path) -> Video:
        with self._lock:
            known = self._videos.get(digest)
        if known is not None:
            return known
        video = Video.open(path, max_pixels=self._max_pixels)
        with self._lock:
            if video.nbytes <= KEPT_BYTES:
                self._videos[digest] = video
        return video
