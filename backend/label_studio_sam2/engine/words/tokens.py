"""A detector's picture side as arrays: what each place of the picture looks like, and the box that it would draw.

A place ("token") is rated for a query, which is the embedding of words or of another token: the cosine of the two,
shifted and scaled by what the token says of itself, is a logit (OWL-ViT, section 3; `Owlv2ClassPredictionHead`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.types import Box, Size

Floats = NDArray[np.float32]

TINY = 1e-6
"""Added to a length before dividing by it, as the library does."""


class Tokens(NamedTuple):
    """`looks` (P, D) of length one; `boxes` (P, 4) as x0, y0, x1, y1 in sides of the square that the picture was padded
    to at its right or lower edge; `shift` and `scale` (P,) of the logits."""

    looks: Floats
    boxes: Floats
    shift: Floats
    scale: Floats

    @classmethod
    def of(cls, embedding: Embedding) -> Tokens:
        """As they were kept."""
        looks, boxes, terms = (array.astype(np.float32, copy=False) for array in embedding.features)
        return cls(looks, boxes, terms[:, 0], terms[:, 1])

    def embedding(self, size: Size, fingerprint: str, store: type[np.floating[Any]]) -> Embedding:
        """To be kept: the looks in the type `store`, the rest, which is little, as it is."""
        terms = np.stack([self.shift, self.scale], axis=1)
        return Embedding((self.looks.astype(store), self.boxes, terms), size, fingerprint)

    @staticmethod
    def nbytes(tokens: int, numbers: int, store: type[np.floating[Any]]) -> int:
        """Of so many tokens with looks of so many numbers, when they are kept."""
        beside = 4 + 2  # edges of the box, shift and scale
        return tokens * (numbers * np.dtype(store).itemsize + beside * np.dtype(np.float32).itemsize)

    def scores(self, queries: Floats) -> Floats:
        """How likely each token shows what each query (Q, D), of length one, asks for: (P, Q), 0 to 1."""
        logits = (self.looks @ queries.T + self.shift[:, None]) * self.scale[:, None]
        scores: Floats = torch.from_numpy(logits).sigmoid_().numpy()
        return scores

    def of_box(self, box: Box, size: Size) -> Token:
        """What is in a box of the picture: the token whose own box overlaps it best. Its picture must have some."""
        best = int(overlaps(np.array([box], np.float32), self.pixels(size))[0].argmax())
        return Token(self.looks[best].copy(), float(self.shift[best]), float(self.scale[best]))

    def pixels(self, size: Size) -> Floats:
        """The boxes in pixels of the picture; they may reach beyond it."""
        return self.boxes * np.float32(max(size))


class Token(NamedTuple):
    """One of a picture's: its looks (D,), and the shift and scale of its logits."""

    looks: Floats
    shift: float
    scale: float

    def score(self, query: Floats) -> float:
        """How likely it shows what a query (D,) of length one asks for."""
        return float(1 / (1 + np.exp(-(self.looks @ query + self.shift) * self.scale)))


class Example(NamedTuple):
    """Looks (D,) of length one, to find objects like them in this or another picture; `score` is what those that they
    were taken from are rated for them."""

    looks: Floats
    score: float

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> Example:
        """What some objects have in common: the middle of their looks. In it, what they differ in cancels out (as in
        Snell et al. 2017, Prototypical networks)."""
        looks = unit(np.mean([token.looks for token in tokens], axis=0, dtype=np.float32))
        return cls(looks, float(np.mean([token.score(looks) for token in tokens])))


def unit(vectors: Floats) -> Floats:
    """The vectors (…, D) at length one."""
    lengths: Floats = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / (lengths + np.float32(TINY))


def overlaps(some: Floats, others: Floats) -> Floats:
    """The IoUs (N, M) of boxes (N, 4) and (M, 4)."""
    corner = np.maximum(some[:, None, :2], others[None, :, :2])
    far = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.clip(far - corner, 0, None), axis=2)
    one, two = (np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (some, others))
    joined: Floats = both / np.maximum(one[:, None] + two[None] - both, np.float32(TINY))
    return joined
