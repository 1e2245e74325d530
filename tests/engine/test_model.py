from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from label_studio_sam2 import demo
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.network import build, derive_config, read_state, settle
from label_studio_sam2.errors import CheckpointError
from safetensors.torch import load_file, save_file
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.transformer import RoPEAttention

from tests.fakes.networks import CPU, demo_model, random_checkpoint


def _state() -> dict[str, torch.Tensor]:
    return load_file(demo.CHECKPOINT)


def test_the_demo_model_loads_strictly_and_names_itself_by_its_hash() -> None:
    model = demo_model()
    assert model.version == f"demo-{model.hash[:8]}"
    assert model.image_size == 256


def test_a_tuned_decoder_changes_the_version_but_not_what_embeddings_depend_on() -> None:
    model = demo_model()
    tuned = model.tuned(model.decoder, "project12.v3")
    assert tuned.version == f"{model.version}+project12.v3"
    assert tuned.fingerprint == model.fingerprint


@pytest.mark.parametrize(
    ("file", "trunk"),
    [
        ("configs/sam2.1/sam2.1_hiera_t.yaml", (96, 12)),
        ("configs/sam2.1/sam2.1_hiera_s.yaml", (96, 16)),
        ("configs/sam2/sam2_hiera_t.yaml", (96, 12)),
    ],
)
def test_the_architecture_follows_from_the_tensors(file: str, trunk: tuple[int, int], tmp_path: Path) -> None:
    state = read_state(random_checkpoint(tmp_path, file))
    config = derive_config(state)
    assert (config.model.image_encoder.trunk.embed_dim, sum(config.model.image_encoder.trunk.stages)) == trunk
    assert bool(config.model.get("proj_tpos_enc_in_obj_ptrs")) == ("sam2.1" in file)
    build(state)


def test_a_checkpoint_by_path_is_named_after_its_file(tmp_path: Path) -> None:
    path = random_checkpoint(tmp_path)
    assert load(str(path), tmp_path, CPU).version.startswith("random-")


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    state = _state()
    del state["no_mem_embed"]
    with pytest.raises(CheckpointError, match="lacks 1 tensors, first no_mem_embed"):
        build(state)


def test_a_tensor_in_excess_is_named() -> None:
    with pytest.raises(CheckpointError, match="in excess 1 tensors, first spare"):
        build(_state() | {"spare": torch.zeros(1)})


def test_a_tensor_of_another_shape_is_named() -> None:
    with pytest.raises(CheckpointError, match="no_mem_embed is"):
        build(_state() | {"no_mem_embed": torch.zeros(7)})


def test_an_unknown_trunk_is_no_sam_2() -> None:
    state = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(8, 3, 7, 7)}
    with pytest.raises(CheckpointError, match="no SAM 2 architecture"):
        build(state | {"image_encoder.trunk.blocks.0.norm1.weight": torch.zeros(8)})


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 nor a zip archive"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="broken"):
        read_state(path)


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pt"
    torch.save({"model": Path("x")}, path)  # any class beyond tensors and plain containers
    with pytest.raises(CheckpointError, match="hostile"):
        read_state(path)


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="no SAM 2 image encoder"):
        load(str(path), tmp_path, CPU)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"sam2\.1_hiera_tiny"):
        load("sam3", tmp_path, CPU)


def test_nothing_of_a_network_stays_where_upstream_put_it() -> None:
    """On a machine with a GPU upstream makes these there, wherever the network is to be."""
    network = copy.deepcopy(demo_model().network)
    rotations = [module for module in network.modules() if isinstance(module, RoPEAttention)]
    maps = [module for module in network.modules() if isinstance(module, PositionEmbeddingSine)]
    for module in maps:
        module.cache[(1, 1)] = torch.zeros(1, 1, 1, device="meta")
    settle(network, torch.device("meta"))
    assert rotations
    assert {module.freqs_cis.device.type for module in rotations} == {"meta"}
    assert maps
    assert not any(module.cache for module in maps)
