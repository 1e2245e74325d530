"""Export: an even offset is taken out of the masks by moving what the first convolution sees."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from demo_model.export import export, moved
from demo_model.model import CHECKPOINT
from demo_model.train import continued_run

CPU = torch.device("cpu")


@pytest.mark.parametrize(("right", "down"), [(1.0, 0.0), (0.0, 1.0), (0.25, 0.5)])
def test_moved_kernels_see_the_picture_farther_to_the_upper_left(right: float, down: float) -> None:
    torch.manual_seed(0)
    kernels = F.pad(torch.randn(2, 3, 5, 5), (1, 1, 1, 1))
    place = torch.arange(32.0)
    picture = (place + 2 * place[:, None]).expand(1, 3, 32, 32)
    seen = F.conv2d(picture, moved(kernels, right, down), stride=4)
    assert torch.allclose(seen, F.conv2d(picture + right + 2 * down, kernels, stride=4), atol=1e-3)


def test_an_exported_run_is_its_average_in_half_precision(tmp_path: Path) -> None:
    run = continued_run(CPU, CHECKPOINT)
    run.save(tmp_path / "run.pt")
    export(tmp_path, data_seed=0, evaluation=None, target=tmp_path / "out.safetensors")
    exported = load_file(tmp_path / "out.safetensors")
    for name, weight in load_file(CHECKPOINT).items():
        assert torch.equal(exported[name], weight)
