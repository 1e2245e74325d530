"""Initial weights from which so small a model learns quickly.

With the stock initialisation attention starts blind to position and the first thousands of steps go into finding
that a click means "here". Each of these makes position matter from the first step.
"""

from __future__ import annotations

import math

import torch
from sam2.modeling.sam.transformer import Attention
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

_CROSS_ATTENTION_GAIN = 1.6
_MEMORY_BIAS = 0.5


@torch.no_grad()
def initialise(model: SAM2Base) -> None:
    """Change a freshly built model's weights in place."""
    transformer = model.sam_mask_decoder.transformer
    for layer in transformer.layers:
        _tie(layer.cross_attn_token_to_image)
        _tie(layer.cross_attn_image_to_token)
    _tie(transformer.final_attn_token_to_image)
    trunk = model.image_encoder.trunk
    trunk.pos_embed.copy_(_fourier(trunk.pos_embed))
    for layer in model.memory_attention.layers:
        _look_here(layer.cross_attn_image)
        _look_here(layer.self_attn)
    # A mask given as a prompt (0 or 1) arrives at the decoder as the logits that a prediction would have.
    nn.init.constant_(model.mask_downsample.weight, 20 / 16)
    nn.init.constant_(model.mask_downsample.bias, -10.0)


def _tie(attention: Attention) -> None:
    """Equal orthogonal query and key projections: what lies at the same place attends to each other."""
    query, key = attention.q_proj, attention.k_proj
    nn.init.orthogonal_(query.weight, gain=_CROSS_ATTENTION_GAIN)
    key.weight.copy_(query.weight)
    nn.init.zeros_(query.bias)
    nn.init.zeros_(key.bias)


def _look_here(attention: Attention) -> None:
    """Equal query and key biases: under rotary encoding their product is largest for the same place."""
    nn.init.constant_(attention.q_proj.bias, _MEMORY_BIAS)
    nn.init.constant_(attention.k_proj.bias, _MEMORY_BIAS)


def _fourier(embedding: Tensor) -> Tensor:
    """Sines and cosines of x and y in place of zeros, (1, C, h, w)."""
    _, channels, height, width = embedding.shape
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = []
    for index in range(math.ceil(channels / 4)):
        frequency = math.pi * (1 + index) / 2
        waves += [wave(frequency * axis) for axis in (x, y) for wave in (torch.sin, torch.cos)]
    return 0.3 * torch.stack(waves[:channels])[None]
