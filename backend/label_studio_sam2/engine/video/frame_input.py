"""Frames on their way into the network: where they come from, and the tensors they become."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from label_studio_sam2.engine.host import to_device
from label_studio_sam2.engine.image.encoding import normalisation
from label_studio_sam2.types import Pixels, Size


class Frames(Protocol):
    """A source of frames: a file's, or drawn ones."""

    @property
    def size(self) -> Size: ...
    def __len__(self) -> int: ...
    def frame(self, index: int) -> Pixels: ...
    def frames(self, span: range) -> Iterator[Pixels]: ...


@dataclass(frozen=True)
class Still:
    """The same black frame, so many times."""

    size: Size
    count: int

    def __len__(self) -> int:
        return self.count

    def frame(self, index: int) -> Pixels:  # noqa: ARG002  all are alike
        return np.zeros((*self.size, 3), np.uint8)

    def frames(self, span: range) -> Iterator[Pixels]:
        return map(self.frame, span)


def prepared(video: Frames, span: range, side: int) -> Iterator[tuple[int, Pixels]]:
    """Frames resized for the network, each made by another thread while the one before it is tracked."""
    pictures = map(squared, video.frames(span), repeat(side))
    with ThreadPoolExecutor(1, "frames") as pool:
        coming = pool.submit(next, pictures, None)
        for frame in span:
            square = coming.result()
            if square is None:
                return
            coming = pool.submit(next, pictures, None)
            yield frame, square


def squared(pixels: Pixels, side: int) -> Pixels:
    """(side, side, 3), resized as sam2.utils.misc does a video's pictures."""
    return np.array(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def normalised(square: Pixels, device: torch.device) -> Tensor:
    """(1, 3, S, S) with ImageNet's mean and deviation, bit for bit as sam2.utils.misc computes it."""
    mean, deviation = normalisation(device)
    planes = to_device(torch.from_numpy(square), device).permute(2, 0, 1).contiguous().float()
    return planes.div_(255).sub_(mean).div_(deviation)[None]


def resized(maps: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False, antialias=antialias)
