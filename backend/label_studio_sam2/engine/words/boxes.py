"""Boxes for questions to a picture: rated tokens, and of what they say alike each object once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import batched_nms, nms

from label_studio_sam2.engine.words.tokens import Floats, Tokens
from label_studio_sam2.geometry import clipped
from label_studio_sam2.types import Box, Size

SAME_QUESTION = 0.5
"""IoU from which two boxes that answer the same question are one object's."""

ANY_QUESTION = 0.8
"""IoU from which two boxes are one object's, whatever they answer: the better rated answer is the right one. Objects of
two kinds may share much of their boxes (a rider and a horse); their masks tell them apart."""


class FoundBox(NamedTuple):
    """An object: where it is, which of the questions it answers, and how likely it does."""

    box: Box
    question: int
    score: float


class Queries(NamedTuple):
    """What tokens are rated for: `vectors` (Q, D) of length one, the question that each belongs to, and what its scores
    are divided by: for an example, how well the example itself answers."""

    vectors: Floats
    question: NDArray[np.int64]
    full: Floats


class Rated(NamedTuple):
    """Tokens rated above a threshold: `boxes` (N, 4) in pixels, the query that each answers best, its score."""

    boxes: Floats
    query: NDArray[np.intp]
    score: Floats


def rated(tokens: Tokens, queries: Queries, size: Size, least: float) -> Rated:
    """As the library's `post_process_grounded_object_detection`: each token answers one query, the best."""
    scores = np.minimum(tokens.scores(queries.vectors) / queries.full, 1)
    best = scores.argmax(axis=1)
    score = scores[np.arange(len(best)), best]
    above = score > least
    return Rated(tokens.pixels(size)[above], best[above], score[above])


def distinct(found: Rated, question: NDArray[np.int64], size: Size) -> list[FoundBox]:
    """Each object once, the best rated first, its box cut to the picture. `question` (N,) is what each box answers."""
    if not len(found.score):
        return []
    boxes, scores = torch.from_numpy(np.ascontiguousarray(found.boxes)), torch.from_numpy(found.score)
    kept = batched_nms(boxes, scores, torch.from_numpy(question), SAME_QUESTION)
    kept = kept[nms(boxes[kept], scores[kept], ANY_QUESTION)]
    cut = ((clipped(Box(*found.boxes[n].tolist()), size), n) for n in kept.tolist())
    return [FoundBox(box, int(question[n]), float(found.score[n])) for box, n in cut if box is not None]
