"""Write a run's averaged weights as the folder that ships: `python -m demo_model.detector.export`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from demo_model.detector.detect import THRESHOLD
from demo_model.detector.network import FOLDER, build, build_processor
from demo_model.detector.runs import RUN
from demo_model.export import commit

_WEIGHTS = "model.safetensors"


def export(run: Path, target: Path = FOLDER, evaluation: Path | None = None) -> None:
    """Config, processor, tokenizer and weights in half precision; what they reach goes into the weights' metadata."""
    state = torch.load(run / "run.pt", map_location="cpu", weights_only=True)
    processor = build_processor()
    model = build(len(processor.tokenizer))
    model.load_state_dict(state["average"])
    target.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(target)
    model.config.detection_threshold = THRESHOLD
    model.half().save_pretrained(target)
    progress = state["progress"]
    note = {
        "training_commit": commit(),
        "steps": str(progress.get("before", 0) + progress["step"]),
        "pictures": str(progress["seed"]),
        "evaluation": json.dumps(json.loads(evaluation.read_text())) if evaluation else "{}",
    }
    describe(target, note)


def describe(folder: Path, note: dict[str, str]) -> None:
    """Add to the metadata of a folder's weights."""
    path = folder / _WEIGHTS
    with safe_open(path, "pt") as stored:
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - no mapping
        metadata = dict(stored.metadata() or {})
    save_file(weights, path, metadata | note)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.detector.export", description=__doc__)
    parser.add_argument("--run", type=Path, default=RUN, help="directory of the training run")
    parser.add_argument("--target", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--evaluation", type=Path, help="the JSON that demo_model.detector.evaluate wrote")
    options = parser.parse_args()
    export(options.run, options.target, options.evaluation)


if __name__ == "__main__":
    main()
