"""Initial weights that let so small a transformer learn from scratch.

It begins as something like a convolutional network: a patch becomes its lowest frequencies in brightness and colour,
and most heads of the first layers look at a neighbour in a fixed direction, because a token's position stands beside
its contents as sines and cosines, which a rotation moves. Nothing of this is fixed; training goes on from there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import Owlv2ForObjectDetection
from transformers.models.owlv2.modeling_owlv2 import Owlv2VisionTransformer

from demo_model.detector.network import GRID, PATCH, WIDTH

_GAIN = 0.7  # of linear layers, over the root of what they take in
_FREQUENCIES = (1, 3, 5, 7)  # half turns across twice the grid
_POSITIONS = 4 * len(_FREQUENCIES)  # channels of the positions, in front of those of the contents
_SHARPNESS = (3.5, 3.5, 4.0, 4.0)  # of each layer's look at its neighbours
_DETAIL = 2.0  # how much more than its mean a patch's detail counts
_AXES, _DIAGONALS = ((1, 0), (-1, 0), (0, 1), (0, -1)), ((1, 1), (1, -1), (-1, 1), (-1, -1))
# Tokens (right, down) from itself that each head of each layer looks at; heads beyond these begin at random.
_OFFSETS = (
    (*_AXES, *_DIAGONALS),
    (*((2 * x, 2 * y) for x, y in _AXES), *((1.5 * x, 1.5 * y) for x, y in _DIAGONALS)),
    (*((3 * x, 3 * y) for x, y in _AXES),),
    _AXES[:2],
)
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))  # brightness and two opponent directions


@torch.no_grad()
def initialise(model: Owlv2ForObjectDetection) -> None:
    """Replace all weights; random ones come from torch's global generator."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=_GAIN / math.sqrt(module.in_features))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for layer in (*model.owlv2.text_model.encoder.layers, *model.owlv2.vision_model.encoder.layers):
        for last in (layer.self_attn.out_proj, layer.mlp.fc2):
            last.weight *= 0.5
    _initialise_heads(model)
    text = model.owlv2.text_model.embeddings
    nn.init.normal_(text.token_embedding.weight, std=0.5)
    nn.init.normal_(text.position_embedding.weight, std=0.1)
    _initialise_pictures(model.owlv2.vision_model)


def _initialise_heads(model: Owlv2ForObjectDetection) -> None:
    """Boxes of a token's own size in its own place, and logits that say no: the library's own saturate."""
    for head in (model.box_head, model.objectness_head):
        head.dense2.weight *= 0.05
    head = model.class_head
    nn.init.zeros_(head.logit_shift.weight)
    nn.init.constant_(head.logit_shift.bias, -0.5)
    nn.init.zeros_(head.logit_scale.weight)
    nn.init.constant_(head.logit_scale.bias, 9.0)


def _initialise_pictures(vision: Owlv2VisionTransformer) -> None:
    embeddings = vision.embeddings
    contents = WIDTH - _POSITIONS
    embeddings.patch_embedding.weight.zero_()
    embeddings.patch_embedding.weight[_POSITIONS:] = lowest_frequencies(contents)
    nn.init.normal_(embeddings.position_embedding.weight, std=0.02)
    embeddings.position_embedding.weight[0] = 0
    embeddings.position_embedding.weight[1:, :_POSITIONS] = grid_positions()
    # Every token is multiplied with the class token in the end: signs only, to begin with.
    embeddings.class_embedding.zero_()
    embeddings.class_embedding[_POSITIONS:] = torch.randint(0, 2, (contents,)) * 2.0 - 1
    for layer, offsets, sharpness in zip(vision.encoder.layers, _OFFSETS, _SHARPNESS, strict=True):
        for head, (right, down) in enumerate(offsets):
            rows = slice(head * _POSITIONS, (head + 1) * _POSITIONS)
            for projection, turn in (
                (layer.self_attn.q_proj, rotation(right, down)),
                (layer.self_attn.k_proj, torch.eye(_POSITIONS)),
            ):
                projection.weight[rows] = 0
                projection.weight[rows, :_POSITIONS] = sharpness * turn


def grid_positions() -> Tensor:
    """(tokens, positions): sines and cosines of each token's column, then of its row."""
    place = torch.arange(GRID)
    waves = [turn(place * _step(k)) for k in _FREQUENCIES for turn in (torch.cos, torch.sin)]
    along = torch.stack(waves, dim=1)
    return torch.cat([along.repeat(GRID, 1), along.repeat_interleave(GRID, dim=0)], dim=1)


def rotation(right: float, down: float) -> Tensor:
    """(positions, positions): takes a token's position to the one that lies so many tokens away."""
    turned = torch.zeros(_POSITIONS, _POSITIONS)
    angles = [shift * _step(k) for shift in (right, down) for k in _FREQUENCIES]
    for number, angle in enumerate(angles):
        cos, sin = math.cos(angle), math.sin(angle)
        pair = slice(2 * number, 2 * number + 2)
        turned[pair, pair] = torch.tensor([[cos, -sin], [sin, cos]])
    return turned


def lowest_frequencies(count: int) -> Tensor:
    """(count, 3, patch, patch): cosine patterns, the coarsest first; half of brightness, the others of colour."""
    place = (torch.arange(PATCH) + 0.5) * math.pi / PATCH
    orders = sorted(
        ((across, down) for across in range(PATCH) for down in range(PATCH)),
        key=lambda o: o[0] ** 2 + o[1] ** 2,
    )
    shares = (count - 2 * (count // 4), count // 4, count // 4)
    patterns = []
    for colour, share in zip(_COLOURS, shares, strict=True):
        direction = nn.functional.normalize(torch.tensor(colour), dim=0)
        for across, down in orders[:share]:
            wave = torch.cos(down * place)[:, None] * torch.cos(across * place)
            wave = wave / wave.norm() / PATCH * (_DETAIL if across or down else 1.0)
            patterns.append(direction[:, None, None] * wave)
    return torch.stack(patterns)


def _step(frequency: int) -> float:
    return frequency * math.pi / GRID
