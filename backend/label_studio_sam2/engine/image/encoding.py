"""The expensive half: a picture's embedding, made once; all prompts are decoded from it (SAM, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.compiling import padded
from label_studio_sam2.engine.host import kept, pinned, to_device, to_host
from label_studio_sam2.engine.model import Model
from label_studio_sam2.types import Pixels, Size

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
"""ImageNet's, of red, green and blue between 0 and 1."""


ROWS = {"cpu": 64}
MANY_ROWS = 1024
"""Of a picture that are narrowed at once. As floats, few stay in a processor's cache, which takes half the time; and a
100-megapixel picture never stands in memory as floats."""

RESIZED_THERE = 40_000_000
"""Pixels of pictures that a GPU resizes itself, in a fraction of the time that a core takes, and with less than 200 MB
beside their bytes. Larger ones come as the model's square, and so do very long ones."""

LONGEST = 64
"""Sides of the model's square: CUDA's kernel refuses to shrink much more than this."""


class Ready(NamedTuple):
    """A picture on its way to the encoder: the normalised square (3, S, S) float32, or (H, W, 3) bytes that the device
    makes one of; and the upright picture's size."""

    content: Tensor
    size: Size


def preprocess(pixels: Pixels | Tensor, side: int) -> Tensor:
    """(3, side, side) float32, normalised, of (H, W, 3) bytes, on the device that those are on; on a CPU bit for bit as
    `sam2.utils.transforms.SAM2Transforms` makes it.

    Interpolation is separable and begins along the rows, so that a few of them can be narrowed at a time.
    """
    picture = pixels if isinstance(pixels, Tensor) else _tensor(pixels)
    narrow = torch.empty(3, len(picture), side, device=picture.device)
    at_once = ROWS.get(picture.device.type, MANY_ROWS)
    for top in range(0, len(picture), at_once):
        rows = picture[top : top + at_once]
        planes = rows.permute(2, 0, 1).contiguous().to(torch.float32).div_(255)
        narrow[:, top : top + at_once] = _resized(planes, len(rows), side)
    mean, deviation = normalisation(picture.device)
    return _resized(narrow, side, side).sub_(mean).div_(deviation)


@cache
def normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation (3, 1, 1)."""
    with torch.inference_mode(False):
        mean, deviation = (torch.tensor(row, device=device)[:, None, None] for row in (MEAN, STD))
        return mean, deviation


def ready(model: Model, pixels: Pixels) -> Ready:
    """The picture as `encode_all` takes it; work for the thread that has the pixels, beside the device."""
    size = Size(*pixels.shape[:2])
    bearable = size.height * size.width <= RESIZED_THERE and max(size) <= LONGEST * model.image_size
    if model.device.type == "cuda" and bearable:
        return Ready(pinned(_tensor(pixels), model.device), size)
    return Ready(pinned(preprocess(pixels, model.image_size), model.device), size)


def encode_all(model: Model, pictures: Sequence[Ready], store: type[np.floating[Any]]) -> list[Embedding]:
    """Embeddings of several pictures, encoded as one batch; `store` is the type that they are kept in.

    Each is the backbone's three levels, without the no-memory embedding. Their arrays share memory: `owned` before they
    are kept.
    """
    dtype = model.encoder_dtype
    with torch.autocast(model.device.type, dtype=dtype, enabled=dtype is not None):
        batch = torch.stack([_square(model, one) for one in pictures])
        levels = model.network.forward_image(padded(batch) if model.compiled else batch)["backbone_fpn"]
    stored = torch.float16 if store is np.float16 else torch.float32
    arrays = to_host([level[: len(batch)].to(stored) for level in reversed(levels)])
    return [
        Embedding(tuple(level[place] for level in arrays), one.size, model.fingerprint)
        for place, one in enumerate(pictures)
    ]


def encode(model: Model, pixels: Pixels, store: type[np.floating[Any]]) -> Embedding:
    """The embedding of one picture (H, W, 3)."""
    return encode_all(model, [ready(model, pixels)], store)[0]


def owned(embedding: Embedding) -> Embedding:
    """With memory of its own."""
    return replace(embedding, features=tuple(kept(level) for level in embedding.features))


def blank(model: Model) -> Embedding:
    """Of no picture: for trying a decoder out."""
    levels = tuple(np.zeros(shape, np.float16) for shape in model.level_shapes)
    return Embedding(levels, Size(model.image_size, model.image_size), model.fingerprint)


def _tensor(pixels: Pixels) -> Tensor:
    """The same memory, wherever torch takes it."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"]))


def _square(model: Model, picture: Ready) -> Tensor:
    there = to_device(picture.content, model.device)
    return there if there.dtype == torch.float32 else preprocess(there, model.image_size)


def _resized(planes: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(planes[None], (height, width), mode="bilinear", align_corners=False, antialias=True)[
        0
    ]
