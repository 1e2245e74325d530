"""Networks to test with: the demo model, and a real SAM 2.1 architecture with random weights."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import torch
from hydra.utils import instantiate
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.settings import DEMO
from omegaconf import OmegaConf

CPU = torch.device("cpu")


@cache
def demo_model() -> Model:
    """The shipped demo model, loaded once."""
    return load(DEMO, Path(), CPU)


def random_checkpoint(folder: Path, config: str = "configs/sam2.1/sam2.1_hiera_t.yaml") -> Path:
    """A checkpoint of the published layout, with the weights that the architecture starts from."""
    torch.manual_seed(0)
    network = instantiate(
        OmegaConf.create((resources.files("sam2") / config).read_text()).model, _recursive_=True
    )
    path = folder / "random.pt"
    torch.save({"model": network.state_dict()}, path)
    return path
