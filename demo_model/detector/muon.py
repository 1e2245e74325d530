"""Muon in single precision: momentum whose matrices are made orthogonal before they are taken off the weights.

After Keller Jordan's optimiser, with the step's length as in "Muon is scalable for LLM training" (Liu et al., 2025), so
that learning rates are those of AdamW. torch's own works in bfloat16, which takes a CPU twenty times as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that drives singular values towards 1
_ROUNDS = 5
_MOMENTUM = 0.95
_LENGTH = 0.2  # root mean square of a step's entries, of the learning rate


class Muon(torch.optim.Optimizer):
    """For matrices inside the network."""

    def __init__(self, weights: Iterable[dict[str, Any]], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step; matrices of one shape are handled together."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    alike.setdefault(weight.shape, []).append(weight)
            for weights in alike.values():
                updates = orthogonal(torch.stack([self._pushed(weight) for weight in weights]))
                length = _LENGTH * max(weights[0].shape) ** 0.5
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(update, alpha=-group["lr"] * length)

    def _pushed(self, weight: Tensor) -> Tensor:
        """The gradient with Nesterov's momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        momentum = state.setdefault("momentum", torch.zeros_like(weight))
        momentum.lerp_(weight.grad, 1 - _MOMENTUM)
        return weight.grad.lerp(momentum, _MOMENTUM)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices to (N, rows, columns), roughly: singular values end between 0.7 and 1.2."""
    a, b, c = _COEFFICIENTS
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    found: Tensor = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ROUNDS):
        square = found @ found.mT
        found = a * found + (b * square + c * square @ square) @ found
    return found if wide is matrices else found.mT
