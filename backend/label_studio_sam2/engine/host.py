"""Between the device's memory and this machine's: what is copied, and when it is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device. A GPU is given it without being waited for: what comes after waits on the GPU."""
    return tensor.to(device, non_blocking=device.type == "cuda")


def pinned(tensor: Tensor, device: torch.device) -> Tensor:
    """In memory that a GPU fetches from by itself, at twice the speed; for any other device as it is."""
    return tensor.pin_memory() if device.type == "cuda" else tensor


def to_host(tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
    """What all of them hold, with one wait for all. Only what a GPU has computed is copied: on a CPU the arrays are the
    tensors' own memory."""
    device = tensors[0].device
    if device.type != "cuda":
        return [tensor.cpu().numpy() for tensor in tensors]
    landed = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
    for place, tensor in zip(landed, tensors, strict=True):
        place.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(device).synchronize()
    return [place.numpy() for place in landed]


def kept(array: NDArray[Any]) -> NDArray[Any]:
    """A copy of its own: neither pinned, of which a machine has little, nor a part of something larger."""
    return np.array(array)
