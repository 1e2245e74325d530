"""Pictures encoded in turn: each is made ready beside the device, by whoever brings it, and several that wait together
are one batch where that is faster."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from label_studio_sam2.engine.batches import Together
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.compiling import BUCKETS
from label_studio_sam2.engine.image import encoding
from label_studio_sam2.engine.image.encoding import Ready
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import OutOfMemory
from label_studio_sam2.request.timing import stage
from label_studio_sam2.types import Picture

WARM_UP = Turn(Priority.CLICK_ENCODE)

PICTURES_AT_ONCE = {"cuda": BUCKETS[-1]}
"""In one batch, of those that wait. On a CPU a batch takes longer than its pictures one by one, and a click would wait
for the whole of it."""


class PictureEncoder:
    """A model's encoder behind the lane. Safe to share between threads."""

    def __init__(
        self, model: Model, lane: Lane, store: type[np.floating[Any]], give_back: Callable[[], bool]
    ) -> None:
        """`store` is the type that embeddings are kept in. `give_back` is asked for memory where there is too little,
        and says whether there is more now."""
        self._model = model
        self._lane = lane
        self._store = store
        self._give_back = give_back
        self._most = PICTURES_AT_ONCE.get(model.device.type, 1)
        self._together = Together[Ready, Embedding](
            lane,
            lambda pictures: encoding.encode_all(model, pictures, store),
            self._most,
        )

    def warm_up(self) -> None:
        """Encodes nothing, in a batch of every size that will come."""
        side, lane = self._model.image_size, self._lane
        nothing = encoding.ready(self._model, np.zeros((side, side, 3), np.uint8))
        for size in BUCKETS[: 1 + BUCKETS.index(self._most)] if self._model.compiled else (1,):
            batch = [nothing] * size
            lane.run(WARM_UP, lambda batch=batch: encoding.encode_all(self._model, batch, self._store))  # type: ignore[misc]

    def __call__(self, picture: Picture, turn: Turn, key: Hashable | None = None) -> Embedding:
        """Raises what `Lane.run` does, and what is wrong with the picture."""
        with stage("load"):
            pixels, size = picture.viewed()
        with stage("encode"):
            ready = encoding.ready(self._model, pixels)._replace(size=size)
            del pixels  # it may be large, and others are before it
            try:
                return encoding.owned(self._together(turn, ready, key))
            except OutOfMemory:
                if not self._give_back():
                    raise
            return encoding.owned(self._together(turn, ready, key))
