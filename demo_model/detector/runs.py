"""The state of a training run, in memory and on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer, Owlv2ForObjectDetection

from demo_model.detector.initialisation import initialise
from demo_model.detector.muon import Muon
from demo_model.detector.network import WIDTH, build, load, notes
from demo_model.detector.targets import OUTLINE, WINDOW
from demo_model.detector.vocabulary import SHAPES

RUN = Path("model_cache") / "demo_detector"  # where a run is kept unless told otherwise; git ignores it
_BETAS = (0.9, 0.98)
_WEIGHT_DECAY = 0.02
# Of the learning rate. The entries of the patches' kernels are so small that steps of the others' length wipe them out.
_RATES = {"others": 1.0, "positions": 0.3, "patches": 0.05, "matrices": 5.0}
_AVERAGE_DECAY = 0.996


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    seed: int = 0  # of the last picture drawn
    before: int = 0  # steps of the runs that this one goes on from


class Helpers(nn.Module):
    """Heads that guess, halfway and at the end, what tells shapes apart; they are thrown away afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes = nn.ModuleList(nn.Linear(WIDTH, len(SHAPES) + 1) for _ in range(2))
        self.cells = nn.ModuleList(nn.Linear(WIDTH, cells**2) for cells in (WINDOW, OUTLINE))

    def guessed(self, halfway: Tensor, final: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Guesses by name, from what the tokens (B, T, width) are halfway and in the end."""
        first, last = (
            {"shape": shape(tokens), "cells": cells(tokens)}
            for tokens, shape, cells in zip((halfway, final), self.shapes, self.cells, strict=True)
        )
        return first, last


@dataclass
class Run:
    """Everything that training changes."""

    model: Owlv2ForObjectDetection
    helpers: Helpers
    average: dict[str, Tensor]
    optimisers: list[torch.optim.Optimizer]
    progress: Progress

    def save(self, path: Path) -> None:
        """Write all of it, replacing the file in one move."""
        state = {
            "model": self.model.state_dict(),
            "helpers": self.helpers.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "progress": asdict(self.progress),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue where `save` left off."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.helpers.load_state_dict(state["helpers"])
        self.average = state["average"]
        for optimiser, stored in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(stored)
        self.progress = Progress(**state["progress"])

    @torch.no_grad()
    def update_average(self) -> None:
        """Move the averaged weights towards the model's; sooner at the start, whose weights are left behind."""
        step = self.progress.step
        decay = min(_AVERAGE_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.average.values()), list(self.model.state_dict().values()), 1 - decay)


def new_run(tokenizer: CLIPTokenizer, seed: int) -> Run:
    """A run that has not begun."""
    torch.manual_seed(seed)
    model = build(len(tokenizer))
    initialise(model)
    return _run_of(model, Progress())


def continued_run(folder: Path) -> Run:
    """A run that goes on from a shipped detector, on pictures that it hasn't seen; the helpers begin anew."""
    noted = notes(folder)
    progress = Progress(seed=int(noted["pictures"]), before=int(noted["steps"]))
    return _run_of(load(folder)[0].train(), progress)


def _run_of(model: Owlv2ForObjectDetection, progress: Progress) -> Run:
    helpers = Helpers()
    groups: dict[str, list[Tensor]] = {name: [] for name in _RATES}
    for name, weight in model.named_parameters():
        groups[_group_of(name, weight)].append(weight)
    groups["others"] += helpers.parameters()
    adam, muon = (
        [{"params": groups[name], "share": _RATES[name]} for name in names]
        for names in (("others", "positions", "patches"), ("matrices",))
    )
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(adam, lr=0.0, betas=_BETAS, weight_decay=_WEIGHT_DECAY, fused=True),
        Muon(muon, lr=0.0, weight_decay=_WEIGHT_DECAY),
    ]
    average = {name: weight.clone() for name, weight in model.state_dict().items()}
    return Run(model, helpers, average, optimisers, progress)


def _group_of(name: str, weight: Tensor) -> str:
    if "patch_embedding" in name:
        return "patches"
    if "vision_model.embeddings" in name:
        return "positions"
    inner = "vision_model.encoder" in name or name.startswith(("box_head.dense0", "box_head.dense1"))
    return "matrices" if inner and weight.ndim == 2 else "others"
