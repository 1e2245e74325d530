"""Write a run's averaged weights as the checkpoint that ships: `python -m demo_model.export`."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file

from demo_model.checkpoints import RUN
from demo_model.model import CHECKPOINT


def export(run: Path, data_seed: int, evaluation: Path | None, target: Path = CHECKPOINT) -> None:
    """Write half-precision weights and, as metadata, where they come from and what they reach."""
    state = torch.load(run / "run.pt", map_location="cpu", weights_only=True)
    weights = {name: tensor.half().contiguous() for name, tensor in state["average"].items()}
    progress = state["progress"]
    metadata = {
        "training_commit": _commit(),
        "data_seed": str(data_seed),
        "steps": str(progress["total_steps"]),
        "pictures": str(progress["pictures"]),
        "evaluation": json.dumps(json.loads(evaluation.read_text())) if evaluation else "{}",
    }
    save_file(weights, target, metadata)


def _commit() -> str:
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
    options = parser.parse_args()
    export(options.run, options.seed, options.evaluation)


if __name__ == "__main__":
    main()
