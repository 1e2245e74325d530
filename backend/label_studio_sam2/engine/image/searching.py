"""Everything mode at work: what it asks of the device, a few clicks at a time, so that everything more urgent goes in
between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.batches import in_halves
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.image import decoding, everything
from label_studio_sam2.engine.image.decoding import Prepared
from label_studio_sam2.engine.image.found_object import FoundObject
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import OnDevice

Floats = NDArray[np.float32]


def search(
    model: Model,
    embedding: Embedding,
    grid: Grid,
    *,
    encode: Callable[[Window], Embedding],
    on_device: OnDevice,
    before_each_turn: Callable[[], None],
) -> list[FoundObject]:
    """Every object of the picture with this embedding, the best rated first. `encode` gives a window's embedding;
    `before_each_turn` may raise to break off."""

    def prepare(window: Window) -> Prepared:
        seen = embedding
        if window.layer:
            before_each_turn()
            seen = encode(window)
        return on_device(lambda: decoding.prepare(model, seen))

    def decode(prepared: Prepared, clicks: Floats) -> tuple[Floats, Floats]:
        before_each_turn()
        return on_device(lambda: decoding.decode_points(prepared, clicks))

    def decode_some(prepared: Prepared, clicks: Floats) -> tuple[Floats, Floats]:
        return in_halves(partial(decode, prepared), clicks, _joined)

    at_once = decoding.points_at_once(model)
    return everything.find(embedding.size, grid, prepare, decode_some, points_at_once=at_once)


def _joined(one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    logits, scores = (np.concatenate(parts) for parts in zip(one, other, strict=True))
    return logits, scores
