"""COMPILE: the parts of a network that take most of the time as code made for this device, at the start.

The image encoder is compiled for a few sizes of a batch, to which smaller ones are padded, and memory attention for any
length of its memory, so that nothing is compiled while somebody waits. The mask decoder stays as it is: its prompts are
of any length, padding them would change masks, and it takes a millisecond or two on a GPU. What can't be compiled,
without a compiler, say, runs as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from label_studio_sam2.engine.model import Model

BUCKETS = (1, 2, 4, 8)
"""Pictures in a batch."""


def compiled(model: Model) -> Model:
    """The model, to be compiled by what it is asked for first. The network is changed: to be called while it is new."""
    # Upstream keeps position maps from its first run on, and what is kept is compiled as a constant.
    with torch.inference_mode():
        side, device = model.image_size, model.device
        with torch.autocast(device.type, model.encoder_dtype, enabled=model.encoder_dtype is not None):
            model.network.forward_image(torch.zeros(1, 3, side, side, device=device))
    _set_suppress_errors()
    encoder, attention = model.network.image_encoder, model.network.memory_attention
    encoder.forward = torch.compile(encoder.forward, dynamic=False)
    attention.forward = torch.compile(attention.forward, dynamic=True)
    return replace(model, compiled=True)


def padded(batch: Tensor) -> Tensor:
    """To the next size that is compiled, if there is one, with copies of the last picture."""
    place = bisect_left(BUCKETS, len(batch))
    missing = BUCKETS[place] - len(batch) if place < len(BUCKETS) else 0
    return torch.cat([batch, batch[-1:].expand(missing, -1, -1, -1)]) if missing else batch


def _set_suppress_errors() -> None:
    """What fails to compile is run as it is, with a warning in the log."""
    config: Any = torch._dynamo.config
    config.suppress_errors = True
