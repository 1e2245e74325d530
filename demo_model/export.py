"""Write a run's averaged weights as the checkpoint that ships: `python -m demo_model.export`."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from demo_model.checkpoints import RUN
from demo_model.model import CHECKPOINT

_FIRST_KERNELS = "image_encoder.trunk.patch_embed.proj.weight"


def export(
    run: Path,
    data_seed: int,
    evaluation: Path | None,
    offset: tuple[float, float] = (0.0, 0.0),
    target: Path = CHECKPOINT,
) -> None:
    """Write half-precision weights and, as metadata, where they come from and what they reach.

    offset: how far masks lie to the right and down of their objects, in pixels of the square that the model sees, 0 to
    1. It is taken out of them.
    """
    state = torch.load(run / "run.pt", map_location="cpu", weights_only=True)
    average = state["average"]
    average[_FIRST_KERNELS] = moved(average[_FIRST_KERNELS], *offset)
    weights = {name: tensor.half().contiguous() for name, tensor in average.items()}
    progress = state["progress"]
    metadata = {
        "training_commit": commit(),
        "data_seed": str(data_seed),
        "steps": str(progress["total_steps"]),
        "pictures": str(progress["pictures"]),
        "evaluation": json.dumps(json.loads(evaluation.read_text())) if evaluation else "{}",
    }
    save_file(weights, target, metadata)


def moved(kernels: Tensor, right: float, down: float) -> Tensor:
    """Kernels (N, C, H, W) moved by a part of a pixel, 0 to 1, between which they are interpolated.

    What they see is moved as far to the left and up, and prompts and masks are not. So a model whose masks all lie
    off by as much, as its prompts did in training, puts them on their objects.
    """
    # The taps at the edge go on: those of a strided convolution do not fade towards it.
    padded = F.pad(kernels.float(), (1, 0, 1, 0), mode="replicate")
    columns = (1 - right) * padded[..., 1:] + right * padded[..., :-1]
    return (1 - down) * columns[..., 1:, :] + down * columns[..., :-1, :]


def commit() -> str:
    """The commit of this folder, or 'uncommitted' where it differs from one."""
    return "uncommitted" if _git("status", "--porcelain", ".") else _git("log", "-1", "--format=%H", ".")


def _git(*words: str) -> str:
    git = shutil.which("git")
    if git is None:
        return "uncommitted"
    here = Path(__file__).parent
    # The words are constants of this file.
    done = subprocess.run([git, *words], cwd=here, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.export", description=__doc__)
    parser.add_argument("--run", type=Path, default=RUN, help="directory of the training run")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of the run's scenes")
    parser.add_argument("--evaluation", type=Path, help="the JSON that demo_model.evaluate wrote")
    parser.add_argument(
        "--offset",
        type=float,
        nargs=2,
        default=(0.0, 0.0),
        metavar=("RIGHT", "DOWN"),
        help="what to take out of the masks' places, in pixels of the model's square, 0 to 1",
    )
    options = parser.parse_args()
    export(options.run, options.seed, options.evaluation, tuple(options.offset))


if __name__ == "__main__":
    main()
