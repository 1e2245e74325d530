"""From a checkpoint file to a network on a device: the architecture is derived from the tensors themselves."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import load_file
from torch import Tensor, nn

from label_studio_sam2.engine.checkpoints import CHECKPOINTS, Progress, download, sha256, verify
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.settings import DEMO

log = logging.getLogger(__name__)

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


@dataclass(frozen=True)
class Model:
    """A network with its weights on a device. The network is never written to, so all threads may share it.

    `decoder` is the network's mask decoder, its own or a tuned one; nothing that the embedding depends on is ever
    tuned. `dense_positions` (1, C, S, S) is the prompt encoder's constant position map.
    """

    name: str
    hash: str
    network: Any
    decoder: Any
    dense_positions: Tensor
    device: torch.device
    tuning: str = ""

    @property
    def image_size(self) -> int:
        """The side, in pixels, of the square that pictures are resized to."""
        return int(self.network.image_size)

    @property
    def embedding_values(self) -> int:
        """How many numbers make up the embedding of a picture, whatever its size."""
        channels = {
            16: self.network.hidden_dim,
            8: self.decoder.conv_s1.out_channels,
            4: self.decoder.conv_s0.out_channels,
        }
        return sum(int(depth) * (self.image_size // stride) ** 2 for stride, depth in channels.items())

    @property
    def fingerprint(self) -> str:
        """Of all that an embedding depends on: equal fingerprints give equal embeddings."""
        return self.hash[:16]

    @property
    def version(self) -> str:
        """What Label Studio stores beside each prediction: it changes whenever predictions would."""
        return f"{self.name}-{self.hash[:8]}" + (f"+{self.tuning}" if self.tuning else "")

    def tuned(self, decoder: nn.Module, tuning: str) -> Model:
        """The same network with another mask decoder, named `tuning` in the version."""
        network = copy(self.network)  # which shares all weights; the mapping of its parts is its own
        network._modules = {**network._modules, "sam_mask_decoder": decoder}
        return replace(self, network=network, decoder=decoder, tuning=tuning)


def load(name: str, folder: Path, device: torch.device, progress: Progress | None = None) -> Model:
    """The model that MODEL names: `demo`, a row of the checkpoint table (downloaded where missing), or a path.

    Raises CheckpointError with one sentence on what is wrong and one on what to do.
    """
    path = _locate(name, folder, progress)
    state = read_state(path)
    network = build(state).to(device).eval().requires_grad_(False)
    compute_positions_once(network)
    with torch.inference_mode():
        positions = network.sam_prompt_encoder.get_dense_pe()
    return Model(
        name=DEMO if name == DEMO else path.stem,
        hash=sha256(path),
        network=network,
        decoder=network.sam_mask_decoder,
        dense_positions=positions,
        device=device,
    )


def _locate(name: str, folder: Path, progress: Progress | None) -> Path:
    if name == DEMO:
        return Path(str(resources.files("label_studio_sam2.demo") / "demo.safetensors"))
    if name in CHECKPOINTS:
        path = download(CHECKPOINTS[name], folder, progress)
        verify(path, CHECKPOINTS[name])
        return path
    if Path(name).is_file():
        return Path(name)
    raise CheckpointError(
        f"MODEL={name} is neither a file nor a known checkpoint. Use {DEMO}, {', '.join(CHECKPOINTS)}, or the path "
        "of a SAM 2 checkpoint."
    )


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
        raise CheckpointError(f"{path} holds no SAM 2 weights. Set MODEL to a SAM 2 or 2.1 checkpoint.")
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


def compute_positions_once(network: Any) -> None:
    """Upstream makes these position encodings anew for every picture, though nothing but its size goes into them."""
    trunk, encoding = network.image_encoder.trunk, network.image_encoder.neck.position_encoding
    trunk._get_pos_embed = cache(trunk._get_pos_embed)
    encoding._pe = cache(encoding._pe)


def derive_config(state: Mapping[str, Tensor]) -> DictConfig:
    """The model config whose trunk has the width and depth that the tensors show. Raises CheckpointError."""
    trunk = trunk_of(state)
    if trunk == DEMO_TRUNK:
        return _config("label_studio_sam2", "demo/demo.yaml")
    if trunk not in CONFIGS:
        raise CheckpointError(
            f"The checkpoint's trunk has {trunk[1]} blocks of width {trunk[0]}, which is no SAM 2 architecture. "
            "Set MODEL to a SAM 2 or 2.1 checkpoint."
        )
    family, prefix = ("sam2.1", "sam2.1_") if SAM_2_1 in state else ("sam2", "sam2_")
    return _config("sam2", f"configs/{family}/{prefix}{CONFIGS[trunk]}.yaml")


def trunk_of(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Width and number of blocks of the image encoder's trunk."""
    blocks = {int(match[1]) for key in state if (match := TRUNK_BLOCK.match(key))}
    if PATCH_EMBEDDING not in state or not blocks:
        raise CheckpointError(
            "The checkpoint has no SAM 2 image encoder. Set MODEL to a SAM 2 or 2.1 checkpoint."
        )
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
            raise CheckpointError(
                f"The checkpoint doesn't fit its architecture: it {what} {len(keys)} tensors, first {min(keys)}. "
                "Set MODEL to an unmodified SAM 2 or 2.1 checkpoint."
            )
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise CheckpointError(
                f"The checkpoint doesn't fit its architecture: {key} is {tuple(tensor.shape)}, not "
                f"{tuple(expected[key].shape)}. Set MODEL to an unmodified SAM 2 or 2.1 checkpoint."
            )
    network.load_state_dict(state)
