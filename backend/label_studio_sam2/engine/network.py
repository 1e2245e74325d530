"""The network that a checkpoint's tensors belong to: its architecture is derived from the tensors themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file
from sam2.modeling.position_encoding import PositionEmbeddingSine
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor, nn

from label_studio_sam2.errors import CheckpointError, WrongModel
from label_studio_sam2.wording import counted

PATCH_EMBEDDING = "image_encoder.trunk.patch_embed.proj.weight"
TRUNK_BLOCK = re.compile(r"image_encoder\.trunk\.blocks\.(\d+)\.")
SAM_2_1 = "obj_ptr_tpos_proj.weight"
"""A tensor that SAM 2.1 has and SAM 2 has not."""

CONFIGS = {
    # (trunk width, trunk blocks): the end of the config's name in the sam2 package
    (96, 12): "hiera_t",
    (96, 16): "hiera_s",
    (112, 24): "hiera_b+",
    (144, 48): "hiera_l",
}
DEMO_TRUNK = (24, 8)

STOCK_POSTPROCESSING = {
    # What the sam2 package's own builders add to every config (sam2.build_sam, apply_postprocessing). Holes are
    # not filled: the CUDA extension that would do it is not built, and without it upstream only warns.
    "sam_mask_decoder_extra_args.dynamic_multimask_via_stability": True,
    "sam_mask_decoder_extra_args.dynamic_multimask_stability_delta": 0.05,
    "sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh": 0.98,
    "binarize_mask_from_pts_for_mem_enc": True,
    "fill_hole_area": 0,
}


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: a safetensors file, or one that torch saved (plain or under "model").

    Nothing in it is executed: torch loads weights only. Raises CheckpointError.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0][:120]
        raise CheckpointError(
            f"{path} can't be read as a checkpoint ({reason}). Set MODEL to a SAM 2 or 2.1 checkpoint file."
        ) from error
    state = content.get("model", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise WrongModel(f"{path} holds no SAM 2 weights. Set MODEL to a SAM 2 or 2.1 checkpoint.")
    return dict(state)


def build(state: Mapping[str, Tensor]) -> Any:
    """The network that these tensors belong to, with the tensors loaded, in fp32, for images and video alike."""
    config = OmegaConf.merge(derive_config(state), {"model": {"sam_mask_decoder_extra_args": {}}})
    config.model["_target_"] = "sam2.sam2_video_predictor.SAM2VideoPredictor"
    for key, value in STOCK_POSTPROCESSING.items():
        OmegaConf.update(config.model, key, value, force_add=True)
    network = instantiate(config.model, _recursive_=True)
    _load_strictly(network, state)
    return network


def settle(network: Any, device: torch.device) -> None:
    """Brings what upstream puts on the first GPU, wherever the network is to be, to the device: the position maps and
    rotations that it makes while it is constructed and keeps as plain attributes."""
    for module in network.modules():
        if isinstance(module, PositionEmbeddingSine):
            module.cache.clear()
        elif isinstance(module, RoPEAttention):
            module.freqs_cis = module.freqs_cis.to(device)


def compute_positions_once(network: Any) -> None:
    """Upstream makes these position encodings anew for every picture, though nothing but its size goes into them."""
    trunk, encoding = network.image_encoder.trunk, network.image_encoder.neck.position_encoding
    trunk._get_pos_embed = cache(trunk._get_pos_embed)
    encoding._pe = cache(encoding._pe)


def derive_config(state: Mapping[str, Tensor]) -> DictConfig:
    """The model config whose trunk has the width and depth that the tensors show. Raises WrongModel."""
    trunk = trunk_of(state)
    if trunk == DEMO_TRUNK:
        return _config("label_studio_sam2", "demo/demo.yaml")
    if trunk not in CONFIGS:
        raise WrongModel(
            f"The checkpoint's trunk has {counted(trunk[1], 'block')} of width {trunk[0]}, which is no SAM 2 "
            "architecture. Set MODEL to a SAM 2 or 2.1 checkpoint."
        )
    family, prefix = ("sam2.1", "sam2.1_") if SAM_2_1 in state else ("sam2", "sam2_")
    return _config("sam2", f"configs/{family}/{prefix}{CONFIGS[trunk]}.yaml")


def trunk_of(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Width and number of blocks of the image encoder's trunk."""
    blocks = {int(match[1]) for key in state if (match := TRUNK_BLOCK.match(key))}
    if PATCH_EMBEDDING not in state or not blocks:
        raise WrongModel("The checkpoint has no SAM 2 image encoder. Set MODEL to a SAM 2 or 2.1 checkpoint.")
    return state[PATCH_EMBEDDING].shape[0], max(blocks) + 1


def _config(package: str, file: str) -> DictConfig:
    config = OmegaConf.create((resources.files(package) / file).read_text())
    assert isinstance(config, DictConfig)
    return config


def _load_strictly(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    expected = network.state_dict()
    for what, keys in (
        ("lacks", expected.keys() - state.keys()),
        ("has in excess", state.keys() - expected.keys()),
    ):
        if keys:
            raise WrongModel(
                f"The checkpoint doesn't fit its architecture: it {what} {len(keys)} tensors, first {min(keys)}. "
                "Set MODEL to an unmodified SAM 2 or 2.1 checkpoint."
            )
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise WrongModel(
                f"The checkpoint doesn't fit its architecture: {key} is {tuple(tensor.shape)}, not "
                f"{tuple(expected[key].shape)}. Set MODEL to an unmodified SAM 2 or 2.1 checkpoint."
            )
    network.load_state_dict(state)
