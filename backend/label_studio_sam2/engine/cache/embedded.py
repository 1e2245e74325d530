"""A picture that has been encoded."""

from __future__ import annotations

from typing import NamedTuple

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import Source
from label_studio_sam2.types import Size


class Embedded(NamedTuple):
    """What a picture was encoded to, by the picture's digest, and where it came from."""

    digest: str
    embedding: Embedding
    source: Source

    @property
    def size(self) -> Size:
        """Of the upright picture."""
        return self.embedding.size
