"""The state of a training run on disk, and the averaged weights that are shipped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

RUN = Path("model_cache") / "demo_model"  # where a run is kept unless told otherwise; git ignores it


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    stage: int = 0
    step: int = 0  # within the stage
    total_steps: int = 0
    pictures: int = 0  # scenes and clips drawn so far, which is also the next seed

    def after_step(self, pictures: int) -> Progress:
        """One step and its pictures later."""
        return Progress(self.stage, self.step + 1, self.total_steps + 1, self.pictures + pictures)

    def after_stage(self) -> Progress:
        """At the beginning of the next stage."""
        return Progress(self.stage + 1, 0, self.total_steps, self.pictures)


@dataclass
class Run:
    """Everything that training changes."""

    model: SAM2Base
    layout_head: nn.Module
    average: dict[str, Tensor]  # exponential moving average of the model's weights
    optimiser: torch.optim.Optimizer
    progress: Progress

    def save(self, path: Path) -> None:
        """Write all of it, replacing the file in one move."""
        state = {
            "model": self.model.state_dict(),
            "layout_head": self.layout_head.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path, device: torch.device) -> None:
        """Continue where `save` left off."""
        state = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.layout_head.load_state_dict(state["layout_head"])
        self.average = state["average"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Move the averaged weights towards the model's; sooner at the start of a stage, whose weights are left
        behind."""
        steps = self.progress.step
        decay = min(decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - decay)
