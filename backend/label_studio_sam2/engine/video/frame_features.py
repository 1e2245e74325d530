"""Features of a video's frames, kept for the next track over them: a correction, or another object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey
from label_studio_sam2.engine.host import kept, to_host
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import OnDevice
from label_studio_sam2.engine.video.source import from_embedding
from label_studio_sam2.engine.video.tracking_network import KEPT_IN, OTHERWISE_KEPT_IN, Features
from label_studio_sam2.types import Size


@dataclass(frozen=True)
class RememberedFrames:
    """Features of the frames of a file of this `digest` and frame size, from the cache or computed.

    Of a track over a `span` that is longer than the cache has room for, the first frames are kept: the last ones would
    push each other out before anyone comes back to them.
    """

    span: range
    digest: str
    size: Size
    model: Model
    cache: EmbeddingCache
    on_device: OnDevice

    @cached_property
    def kept(self) -> range:
        kept_in = KEPT_IN.get(self.model.device.type, OTHERWISE_KEPT_IN)
        return self.span[: self.cache.room_for_frames(self.model.embedding_values * kept_in.itemsize)]

    def __call__(self, frame: int, compute: Callable[[], Features]) -> Features:
        # Not a picture's key: a video's frames are resized by another filter (see `frame_input.squared`).
        key = EmbeddingKey(self.model.fingerprint, f"{self.digest}@{frame}")
        found = self.cache.frame(key)
        if found is not None:
            return from_embedding(found)
        computed = compute()
        if frame in self.kept:
            arrays = self.on_device(lambda: to_host(computed))
            levels = tuple(kept(array[0]) for array in reversed(arrays))
            self.cache.keep_frame(key, Embedding(levels, self.size, self.model.fingerprint))
        return computed
