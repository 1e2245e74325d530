"""Training: one step of each kind changes the weights, and a run continues where it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from demo_model.checkpoints import Progress
from demo_model.clip_training import clip_step
from demo_model.feed import Source
from demo_model.image_training import image_step
from demo_model.model import CHECKPOINT, set_image_size
from demo_model.train import STAGES, continued_run, new_run

CPU = torch.device("cpu")


def draw(source: Source) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = source.draw(0)
    return torch.from_numpy(images), torch.from_numpy(labels)


def test_a_step_on_pictures_reaches_the_encoder() -> None:
    run = new_run(CPU, seed=0)
    set_image_size(run.model, 64)
    outcome = image_step(
        run.model, run.layout_head, *draw(Source(size=64, batch=2, frames=1, plain_share=0.5))
    )
    outcome.loss.backward()
    assert torch.isfinite(outcome.loss)
    gradient = run.model.image_encoder.trunk.patch_embed.proj.weight.grad
    assert gradient.abs().sum() > 0


def test_a_step_on_clips_reaches_the_memory() -> None:
    run = new_run(CPU, seed=0)
    set_image_size(run.model, 64)
    outcome = clip_step(run.model, *draw(Source(size=64, batch=1, frames=3, plain_share=1.0)))
    outcome.loss.backward()
    assert torch.isfinite(outcome.loss)
    assert run.model.memory_encoder.out_proj.weight.grad.abs().sum() > 0
    assert run.model.memory_attention.layers[0].cross_attn_image.v_proj.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_a_run_continues_where_it_was(tmp_path: Path) -> None:
    run = new_run(CPU, seed=0)
    run.progress = run.progress.after_step(16)
    run.save(tmp_path / "run.pt")
    other = new_run(CPU, seed=1)
    other.load(tmp_path / "run.pt", CPU)
    assert other.progress == run.progress
    for name, weight in run.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], weight)


def test_a_run_can_begin_from_the_shipped_checkpoint() -> None:
    run = continued_run(CPU, CHECKPOINT)
    shipped = load_file(CHECKPOINT)
    assert run.progress.stage == len(STAGES) - 1
    assert run.progress.total_steps > 0
    for name, weight in run.model.state_dict().items():
        assert torch.equal(weight, shipped[name].float())


def test_a_stage_leaves_the_average_it_began_with_behind() -> None:
    run = continued_run(CPU, CHECKPOINT)
    name = "no_mem_embed"
    before = run.average[name].clone()
    with torch.no_grad():
        run.model.no_mem_embed += 1.0
    for step in range(20):
        run.progress = Progress(stage=1, step=step, total_steps=10_000 + step)
        run.update_average(0.995)
    assert torch.allclose(run.average[name], before + 1.0, atol=1e-3)
