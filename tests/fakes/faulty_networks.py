"""Networks on a device on which something fails, without a device on which it does."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter

from tests.fakes.networks import demo_model
from tests.fakes.settings import settings

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
DEAD = torch.AcceleratorError(
    "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might ..."
)


@dataclass
class Faulty:
    """What a call goes through: it fails where `error` gives one for the size of the batch. `batches` are those that
    didn't."""

    call: Callable[..., Any]
    error: Callable[[int], Exception | None]
    batches: list[int] = field(default_factory=list)

    def __call__(self, *given: Any, **named: Any) -> Any:
        tensors = [one for one in (*given, *named.values()) if isinstance(one, torch.Tensor)]
        size = len(tensors[-1])
        if (error := self.error(size)) is not None:
            raise error
        self.batches.append(size)
        return self.call(*given, **named)


def too_small_for(more_than: int) -> Callable[[int], Exception | None]:
    """A memory for so many at once."""
    return lambda size: FULL if size > more_than else None


def with_encoder(error: Callable[[int], Exception | None]) -> tuple[Model, Faulty]:
    """The demo model, with an encoder that fails."""
    network = copy.copy(demo_model().network)
    network.forward_image = Faulty(demo_model().network.forward_image, error)
    return replace(demo_model(), network=network), network.forward_image


class Opened(Context):
    """A service with this segmenter, which is open already."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__(settings())
        self._opened = segmenter

    def open(self) -> None:
        pass

    def close(self) -> None:
        super().close()
        self._opened.close()

    def segmenter(self) -> Segmenter:
        return self._opened


def with_decoder(error: Callable[[int], Exception | None]) -> tuple[Model, Faulty]:
    """The demo model, with a decoder that fails; batches are counted by prompts."""
    decoder = copy.copy(demo_model().decoder)
    transformer = copy.copy(decoder.transformer)
    transformer._modules = {**transformer._modules}
    last = transformer.final_attn_token_to_image
    faulty = Faulty(last, error)
    transformer._modules.pop("final_attn_token_to_image")
    object.__setattr__(transformer, "final_attn_token_to_image", faulty)
    decoder._modules = {**decoder._modules, "transformer": transformer}
    return replace(demo_model(), decoder=decoder), faulty
