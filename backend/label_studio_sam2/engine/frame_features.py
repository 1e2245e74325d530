"""Features of a video's frames, kept for the next track over them: a correction, or another object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from label_studio_sam2.engine.cache import EmbeddingCache, embedding_key
from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tracker import Encode, Run
from label_studio_sam2.engine.tracking_network import Features
from label_studio_sam2.types import Size


def remembering(
    cache: EmbeddingCache, model: Model, digest: str, size: Size, *, span: range, run: Run[Any]
) -> Encode:
    """Features of the file with this digest, from the cache or computed.

    Of a track longer than the cache has room for, the first frames are kept: the last ones would push each other
    out before anyone comes back to them.
    """
    # On a CPU features are kept as they are, so that masks don't depend on what is in the cache. A GPU's are bfloat16,
    # for which fp16 is enough; getting twice the bytes from there would cost what the cache saves.
    store = np.float32 if model.device.type == "cpu" else np.float16
    kept = span[: cache.room_for_frames(model.embedding_values * np.dtype(store).itemsize)]

    def encode(frame: int, compute: Callable[[], Features]) -> Features:
        # Not a picture's key: a video's frames are resized by another filter (see `frame_input.squared`).
        key = embedding_key(f"{digest}@{frame}", model.fingerprint)
        found = cache.frame(key)
        if found is not None:
            features: Features = run(lambda: _features(found, model.device))
            return features
        computed = compute()
        if frame in kept:
            cache.keep_frame(key, run(lambda: _embedding(computed, store, size, model.fingerprint)))
        return computed

    return encode


def _embedding(features: Features, store: type[np.floating[Any]], size: Size, fingerprint: str) -> Embedding:
    arrays = (level[0].float().cpu().numpy().astype(store, copy=False) for level in reversed(features))
    return Embedding(tuple(arrays), size, fingerprint)


def _features(embedding: Embedding, device: torch.device) -> Features:
    levels = (torch.from_numpy(array)[None] for array in reversed(embedding.features))
    return tuple(level.to(device).float() for level in levels)
