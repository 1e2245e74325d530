"""The demo model: built from its config, initialised so that it learns from scratch, and run for training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra.utils
import torch
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

CONFIG = Path(__file__).parents[1] / "backend" / "label_studio_sam2" / "demo" / "demo.yaml"
CHECKPOINT = CONFIG.with_name("demo.safetensors")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build(image_size: int, target: str = "sam2.modeling.sam2_base.SAM2Base", **options: Any) -> SAM2Base:
    """The model of the config at another image size (no weight depends on it), or as another class of sam2."""
    config = OmegaConf.load(CONFIG).model
    config.image_size = image_size
    config["_target_"] = target
    model: SAM2Base = hydra.utils.instantiate(config, **options)
    return model


def set_image_size(model: SAM2Base, size: int) -> None:
    """Let a model see square pictures of another size; no weight changes."""
    cells = size // model.backbone_stride
    model.image_size = size
    model.sam_image_embedding_size = cells
    prompt_encoder = model.sam_prompt_encoder
    prompt_encoder.input_image_size = (size, size)
    prompt_encoder.image_embedding_size = (cells, cells)
    prompt_encoder.mask_input_size = (4 * cells, 4 * cells)


def normalised(images: Tensor) -> Tensor:
    """(N, H, W, 3) uint8 RGB to (N, 3, H, W) float with ImageNet's mean and deviation, as SAM 2 expects."""
    mean, std = images.new_tensor(_MEAN, dtype=torch.float32), images.new_tensor(_STD, dtype=torch.float32)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Features:
    """What the encoder makes of N pictures of H x W, as the mask decoder takes it."""

    pyramid: tuple[
        Tensor, Tensor, Tensor
    ]  # before the decoder's convolutions, (N, 96, H/s, W/s), s = 4, 8, 16
    positions: tuple[Tensor, Tensor, Tensor]  # sine position encodings of the same shapes
    fine: tuple[Tensor, Tensor]  # (N, 12, H/4, W/4) and (N, 24, H/8, W/8)

    @property
    def coarse(self) -> Tensor:
        """(N, 96, H/16, W/16)."""
        return self.pyramid[2]


def encode(model: SAM2Base, images: Tensor) -> Features:
    """Encode (N, H, W, 3) uint8 RGB pictures."""
    out = model.image_encoder(normalised(images))
    level0, level1, level2 = out["backbone_fpn"]
    decoder = model.sam_mask_decoder
    return Features(
        pyramid=(level0, level1, level2),
        positions=tuple(out["vision_pos_enc"]),
        fine=(decoder.conv_s0(level0), decoder.conv_s1(level1)),
    )


@dataclass(frozen=True)
class Decoded:
    """All four masks of N prompts: the single one first, then the three of an ambiguous prompt."""

    logits: Tensor  # (N, 4, H/4, W/4)
    ious: Tensor  # (N, 4), predicted
    tokens: Tensor  # (N, 4, 96), what object pointers are made of
    score: Tensor  # (N,) logit of "the object is in the picture"


def decode(
    model: SAM2Base,
    embedding: Tensor,
    fine: tuple[Tensor, Tensor],
    points: tuple[Tensor, Tensor],
    mask_logits: Tensor | None,
) -> Decoded:
    """Decode one prompt for each of N embeddings.

    embedding is (N, 96, H/16, W/16) with its memory (or the lack of it) added; points are (N, P, 2) pixels x, y
    and (N, P) labels: 1 in, 0 out, 2 and 3 a box's corners, -1 nothing; mask_logits are (N, 1, H/4, W/4).
    """
    sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=mask_logits)
    logits, ious, tokens, score = model.sam_mask_decoder.predict_masks(
        image_embeddings=embedding,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=list(fine),
    )
    return Decoded(logits, ious, tokens, score[:, 0])
