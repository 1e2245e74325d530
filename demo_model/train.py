"""Train the demo model: `python -m demo_model.train`, on the CPU or a GPU, resumable at any time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn
from torch.multiprocessing.spawn import spawn

from demo_model.checkpoints import RUN, Progress, Run
from demo_model.clip_training import clip_step
from demo_model.feed import Source, batches
from demo_model.image_training import Outcome, image_step
from demo_model.initialisation import initialise
from demo_model.log import Log
from demo_model.model import build, set_image_size
from demo_model.team import Team

_BETAS = (0.9, 0.98)
_WEIGHT_DECAY = 0.05
_LARGEST_GRADIENT = 1.0
_AVERAGE_DECAY = 0.995
_WARM_UP_STEPS = 200


@dataclass(frozen=True)
class Stage:
    """A part of the curriculum. The learning rate moves geometrically from its first to its last value."""

    name: str
    steps: int
    rates: tuple[float, float]
    images: Source
    clips: Source | None = None
    clip_steps: int = 0  # after each step on pictures


STAGES = (
    Stage("images at 128", 1500, (1e-3, 6e-4), Source(size=128, batch=16, frames=1, plain_share=0.5)),
    Stage("images at 256", 80, (6e-4, 6e-4), Source(size=256, batch=8, frames=1, plain_share=0.5)),
    Stage(
        "clips at 128",
        800,
        (8e-4, 6e-4),
        Source(size=256, batch=6, frames=1, plain_share=0.5),
        Source(size=128, batch=4, frames=8, plain_share=0.6),
        clip_steps=3,
    ),
    Stage(
        "images at 256, clips at 128",
        600,
        (5e-4, 5e-5),
        Source(size=256, batch=6, frames=1, plain_share=0.4),
        Source(size=128, batch=4, frames=8, plain_share=0.6),
        clip_steps=2,
    ),
    Stage(
        "all at 256",
        1000,
        (3e-4, 2e-5),
        Source(size=256, batch=8, frames=1, plain_share=0.3),
        Source(size=256, batch=3, frames=10, plain_share=0.5),
        clip_steps=1,
    ),
    Stage(
        "more clips at 256",
        600,
        (2e-4, 1e-5),
        Source(size=256, batch=8, frames=1, plain_share=0.3),
        Source(size=256, batch=3, frames=10, plain_share=0.5),
        clip_steps=2,
    ),
    Stage(
        "pictures and clips at 256",
        180,
        (1e-4, 1e-5),
        Source(size=256, batch=8, frames=1, plain_share=0.3),
        Source(size=256, batch=3, frames=10, plain_share=0.5),
        clip_steps=1,
    ),
)


def new_run(device: torch.device, seed: int) -> Run:
    """A run that has not begun."""
    torch.manual_seed(seed)
    model = build(STAGES[0].images.size)
    initialise(model)
    model.to(device).train()
    layout_head = nn.Conv2d(model.hidden_dim, 6, 1).to(device)
    parameters = [*model.parameters(), *layout_head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=0.0, betas=_BETAS, weight_decay=_WEIGHT_DECAY, fused=True)
    average = {name: weight.clone() for name, weight in model.state_dict().items()}
    return Run(model, layout_head, average, optimiser, Progress())


def continued_run(device: torch.device, checkpoint: Path) -> Run:
    """A run that takes an exported checkpoint's weights through the last stage."""
    run = new_run(device, seed=0)
    run.model.load_state_dict(load_file(checkpoint, str(device)))
    run.average = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    for weight in run.layout_head.parameters():
        nn.init.zeros_(weight)  # so that it learns from the encoder before it teaches it
    with safe_open(checkpoint, framework="pt") as file:
        metadata = file.metadata()
    steps, pictures = int(metadata["steps"]), int(metadata["pictures"])
    run.progress = Progress(stage=len(STAGES) - 1, total_steps=steps, pictures=pictures)
    return run


def learning_rate(stage: Stage, progress: Progress) -> float:
    """The rate at a step of a stage."""
    first, last = stage.rates
    warm_up = min(1.0, (progress.total_steps + 1) / _WARM_UP_STEPS)
    return float(warm_up * first * (last / first) ** (progress.step / stage.steps))


def outcomes(run: Run, stage: Stage, device: torch.device, team: Team) -> Iterator[Outcome]:
    """The losses of a stage on this member's pictures, step by step."""

    def drawn(source: Source) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        first = run.progress.pictures + team.number * source.batch
        return batches(source, first, every=team.size * source.batch)

    scenes = drawn(stage.images)
    clips = drawn(stage.clips) if stage.clips else None
    while True:
        if stage.clips and clips and run.progress.step % (1 + stage.clip_steps):
            set_image_size(run.model, stage.clips.size)
            images, labels = next(clips)
            yield clip_step(run.model, images.to(device), labels.to(device))
        else:
            set_image_size(run.model, stage.images.size)
            images, labels = next(scenes)
            yield image_step(run.model, run.layout_head, images.to(device), labels.to(device))


def train_stage(run: Run, stage: Stage, device: torch.device, team: Team) -> Iterator[dict[str, float]]:
    """Take the remaining steps of a stage; yields each step's figures."""
    steps = outcomes(run, stage, device, team)
    parameters = [p for group in run.optimiser.param_groups for p in group["params"]]
    while run.progress.step < stage.steps:
        rate = learning_rate(stage, run.progress)
        for group in run.optimiser.param_groups:
            group["lr"] = rate
        outcome = next(steps)
        run.optimiser.zero_grad()
        outcome.loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        team.average_gradients(parameters)
        norm = nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        run.optimiser.step()
        run.progress = run.progress.after_step(stage.images.batch * team.size)
        run.update_average(_AVERAGE_DECAY)
        yield outcome.figures | {"rate": rate, "gradient": float(norm)}


def train(run: Run, directory: Path, device: torch.device, save_every: float, team: Team) -> None:
    """Train to the end of the last stage, from the directory's last state if there is one."""
    state = directory / "run.pt"
    if state.exists():
        run.load(state, device)
    torch.manual_seed(run.progress.total_steps * team.size + team.number)
    saved = time.monotonic()
    while run.progress.stage < len(STAGES):
        log = Log(directory / "log.jsonl")
        for figures in train_stage(run, STAGES[run.progress.stage], device, team):
            if team.leads:
                log.add(run.progress, figures)
            if team.leads and time.monotonic() - saved > save_every:
                run.save(state)
                saved = time.monotonic()
        run.progress = run.progress.after_stage()
        if team.leads:
            run.save(state)


def join(number: int, options: argparse.Namespace) -> None:
    """Train as one member of a team."""
    team = Team.meet(number, options.trainers, options.run / "team") if options.trainers > 1 else Team()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    run = continued_run(device, options.resume) if options.resume else new_run(device, options.seed)
    train(run, options.run, device, options.save_every, team)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.train", description=__doc__)
    parser.add_argument(
        "--run", type=Path, default=RUN, help="directory of the run; an earlier one is continued"
    )
    parser.add_argument("--resume", type=Path, help="begin a new run from this checkpoint, at the last stage")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and prompts")
    parser.add_argument("--trainers", type=int, default=1, help="processes that share each step, on a CPU")
    parser.add_argument("--threads", type=int, default=1, help="of torch on the CPU, in each trainer")
    parser.add_argument("--save-every", type=float, default=120, help="seconds")
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    (options.run / "team").unlink(missing_ok=True)
    if options.trainers == 1:
        join(0, options)
    else:
        spawn(join, (options,), nprocs=options.trainers)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
