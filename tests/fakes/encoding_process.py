"""Asks the cache for one picture, as another replica does: `python encoding_process.py REDIS_URL
LOCK_SECONDS`.

Prints "encoding" when it is asked to encode, goes on at the next line of its input, and prints where the
embedding came from and its sum.
"""

from __future__ import annotations

import sys

import numpy as np
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey, RedisStore
from label_studio_sam2.types import Size


def encode() -> Embedding:
    sys.stdout.write("encoding\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return Embedding((np.ones((2, 4, 4), np.float16),), Size(3, 4), "model")


if __name__ == "__main__":
    cache = EmbeddingCache(1 << 20, RedisStore(sys.argv[1], 60, lock_seconds=float(sys.argv[2])))
    embedding, source = cache.get_or_encode(EmbeddingKey("model", "picture"), encode)
    cache.close()
    sys.stdout.write(f"{source} {embedding.features[0].sum():.0f}\n")
