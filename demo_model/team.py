"""Several trainers that take each step together, each on pictures of its own, with the mean of their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed
from torch import Tensor


@dataclass(frozen=True)
class Team:
    """One member's view: its number, and how many there are. A team of one does nothing."""

    number: int = 0
    size: int = 1

    @classmethod
    def meet(cls, number: int, size: int, place: Path) -> Team:
        """Wait until all members have come; `place` is a file that doesn't exist yet."""
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{place.resolve()}", rank=number, world_size=size
        )
        return cls(number, size)

    @property
    def leads(self) -> bool:
        """The member that writes: all have the same weights."""
        return self.number == 0

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the team. A member without one counts as zero."""
        if self.size == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(joined)
        joined /= self.size
        for gradient, mean in zip(
            gradients, torch.split(joined, [g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(mean.view_as(gradient))
