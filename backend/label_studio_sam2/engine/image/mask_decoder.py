"""SAM 2's mask decoder, split as the idea asks for it: what depends on the picture alone, and what on the prompt too.

The first layer of its two-way transformer turns the picture into keys, values and queries before any prompt has a say
(`sam2.modeling.sam.transformer.TwoWayAttentionBlock`): a fifth of the decoder's work, the same for every click on a
picture. Here it is done once. The numbers are those of `sam2.modeling.sam.mask_decoder.MaskDecoder`, bit for bit for a
single prompt, for the operations are its own, in its order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class PictureSide(NamedTuple):
    """The picture's half of the first layer, for B prompts or for any (B = 1): `tokens` (B, N, C), the N = S * S
    places of the embedding; `keys` and `values` (B, heads, N, C') that the prompt attends to, `queries` with which
    the picture attends to the prompt."""

    tokens: Tensor
    keys: Tensor
    values: Tensor
    queries: Tensor


class DecoderOutput(NamedTuple):
    """All four masks of B prompts, the single mask first, then the three candidates: `logits` (B, 4, S, S), predicted
    `ious` (B, 4), and `presence` (B, 1), the logit of "the object is in the picture"."""

    logits: Tensor
    ious: Tensor
    presence: Tensor


def picture_side(decoder: Any, image: Tensor, positions: Tensor) -> PictureSide:
    """From the image embedding with the mask prompt added (B, C, S, S), and the constant position map (1, C, S, S)."""
    layer = decoder.transformer.layers[0]
    to_image, to_prompt = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    tokens = _flat(image)
    placed = tokens + _flat(positions)
    return PictureSide(
        tokens,
        keys=_heads(to_image, to_image.k_proj(placed)),
        values=_heads(to_image, to_image.v_proj(tokens)),
        queries=_heads(to_prompt, to_prompt.q_proj(placed)),
    )


def predict(
    decoder: Any, picture: PictureSide, details: tuple[Tensor, Tensor], positions: Tensor, prompts: Tensor
) -> DecoderOutput:
    """The masks of B prompts (B, P, C), as the prompt encoder gives them.

    `details` are the high-resolution levels, fine (1, C / 8, 4 S, 4 S) and coarse (1, C / 4, 2 S, 2 S).
    """
    given = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([given.expand(len(prompts), -1, -1), prompts], dim=1)
    attended, image = _transformed(decoder.transformer, picture, positions, tokens)
    presence, rating, masks = attended[:, 0], attended[:, 1], attended[:, 2 : 2 + decoder.num_mask_tokens]
    upscaled = _upscaled(decoder.output_upscaling, image, details)
    weights = torch.stack(
        [mlp(masks[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1
    )
    logits = (weights @ upscaled.flatten(2)).view(len(prompts), -1, *upscaled.shape[2:])
    return DecoderOutput(logits, decoder.iou_prediction_head(rating), decoder.pred_obj_score_head(presence))


def _transformed(
    transformer: Any, picture: PictureSide, positions: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """The prompt's tokens and the picture (B, C, S, S) after they attended to each other."""
    places = _flat(positions)
    queries, keys = _first_layer(transformer.layers[0], picture, tokens)
    for layer in transformer.layers[1:]:
        queries, keys = layer(queries=queries, keys=keys, query_pe=tokens, key_pe=places)
    attended = transformer.final_attn_token_to_image(q=queries + tokens, k=keys + places, v=keys)
    image = keys.transpose(1, 2).view(len(tokens), *positions.shape[1:])
    return transformer.norm_final_attn(queries + attended), image


def _first_layer(layer: Any, picture: PictureSide, tokens: Tensor) -> tuple[Tensor, Tensor]:
    to_image, to_prompt = layer.cross_attn_token_to_image, layer.cross_attn_image_to_token
    queries = layer.norm1(layer.self_attn(q=tokens, k=tokens, v=tokens))
    asked = _heads(to_image, to_image.q_proj(queries + tokens))
    queries = layer.norm2(queries + _attended(to_image, asked, picture.keys, picture.values))
    queries = layer.norm3(queries + layer.mlp(queries))
    offered = _heads(to_prompt, to_prompt.k_proj(queries + tokens))
    values = _heads(to_prompt, to_prompt.v_proj(queries))
    return queries, layer.norm4(picture.tokens + _attended(to_prompt, picture.queries, offered, values))


def _attended(attention: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention on what is projected already; one picture serves any number of prompts."""
    prompts = max(len(queries), len(keys))
    queries, keys, values = (part.expand(prompts, -1, -1, -1) for part in (queries, keys, values))
    attended: Tensor = attention.out_proj(
        F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
    )
    return attended


def _upscaled(upscaling: Any, image: Tensor, details: tuple[Tensor, Tensor]) -> Tensor:
    """(B, C / 8, 4 S, 4 S)."""
    first, norm, activation, second, last = upscaling
    fine, coarse = details
    upscaled: Tensor = last(second(activation(norm(first(image) + coarse))) + fine)
    return upscaled


def _flat(image: Tensor) -> Tensor:
    """(B, C, S, S) as (B, S * S, C)."""
    return image.flatten(2).transpose(1, 2)


def _heads(attention: Any, projected: Tensor) -> Tensor:
    """(B, N, C) as (B, heads, N, C / heads)."""
    return projected.view(*projected.shape[:2], attention.num_heads, -1).transpose(1, 2)
