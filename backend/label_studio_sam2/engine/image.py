"""The image half of SAM 2 as two functions of values: `encode` once, slowly; `decode` every prompt at once.

Both must run inside `torch.inference_mode` (the lane enters it). Neither keeps anything, so results depend on the
arguments alone, whoever asks and whenever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.model import Model
from label_studio_sam2.types import PackedMask, Pixels, Prompt, Size

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LOGIT_BOUND = 32.0
"""Low-resolution logits are clamped to this before they are fed back (sam2.SAM2ImagePredictor._predict)."""

MASK_PROMPT_SCALE = 20.0
MASK_PROMPT_BIAS = -10.0
"""How a binary mask becomes logits: as SAM 2 scales masks for its memory encoder."""

NEGATIVE, POSITIVE, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = 0, 1, 2, 3
"""Point labels of the prompt encoder."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the mask decoder says to one prompt, at low resolution, the best candidate first.

    `logits` (C, S, S) float32, S a quarter of the model's image size; `scores` (C,) predicted IoU;
    `object_score` the logit of "the object is in the picture".
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    object_score: float


def preprocess(pixels: Pixels, side: int) -> Tensor:
    """(3, side, side) float32, normalised; equal to `sam2.utils.transforms.SAM2Transforms`.

    Channel by channel, so that a 100-megapixel picture never stands in memory as three float planes.
    """
    planes = []
    for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
        plane = torch.from_numpy(np.ascontiguousarray(pixels[..., channel])).to(torch.float32).div_(255)
        resized = F.interpolate(
            plane[None, None], (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        planes.append(resized[0, 0].sub_(mean).div_(std))
    return torch.stack(planes)


def encode(
    model: Model, pixels: Pixels, autocast: torch.dtype | None, store: type[np.floating[Any]]
) -> Embedding:
    """The embedding of a picture (H, W, 3): the backbone's three levels, without the no-memory embedding.

    `autocast` is the encoder's compute type (None: fp32); `store` the type that the embedding is kept in.
    """
    batch = preprocess(pixels, model.image_size)[None].to(model.device)
    with torch.autocast(model.device.type, dtype=autocast, enabled=autocast is not None):
        levels = model.network.forward_image(batch)["backbone_fpn"]
    features = tuple(level[0].float().cpu().numpy().astype(store, copy=False) for level in reversed(levels))
    return Embedding(features=features, size=Size(*pixels.shape[:2]), fingerprint=model.fingerprint)


def decode(
    model: Model, embedding: Embedding, prompt: Prompt, previous: NDArray[np.float32] | None = None
) -> Decoded:
    """Candidates for one prompt: three for a single ambiguous click, one otherwise (Segment Anything, section 3).

    `previous` (S, S) are the logits of the prompt that this one extends; a prompt that extends none starts from its
    own mask, if it has one.
    """
    coordinates, labels = _sparse(model, embedding.size, prompt)
    if previous is None and prompt.mask is not None:
        previous = mask_logits(prompt.mask, 4 * embedding.features[0].shape[-1])
    dense = None if previous is None else torch.from_numpy(previous)[None, None].to(model.device)
    points = None if labels is None else (coordinates[None], labels[None])
    logits, scores, presence = _decode(model, embedding, points, dense, multimask=prompt.ambiguous)
    order = torch.argsort(scores[0], descending=True, stable=True)
    return Decoded(
        logits=logits[0, order].clamp_(-LOGIT_BOUND, LOGIT_BOUND).cpu().numpy(),
        scores=scores[0, order].cpu().numpy(),
        object_score=float(presence[0, 0]),
    )


def decode_points(
    model: Model, embedding: Embedding, points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three candidates for each of B single clicks (B, 2) in pixels, decoded as one batch.

    Returns logits (B, 3, S, S) and predicted IoUs (B, 3).
    """
    coordinates = _to_model(model, embedding.size, torch.from_numpy(points))[:, None]
    labels = torch.ones(coordinates.shape[:2], dtype=torch.int, device=model.device)
    logits, scores, _ = _decode(model, embedding, (coordinates, labels), None, multimask=True)
    return logits.cpu().numpy(), scores.cpu().numpy()


def decode_all(
    model: Model, embedding: Embedding, points: tuple[Tensor, Tensor], previous: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All four masks of B prompts at once, with gradients for the decoder where they are wanted.

    `points` are coordinates (B, P, 2) on the model's square and labels (B, P), `previous` logits (B, 1, S, S) or
    None. Returns logits (B, 4, S, S), the single mask first, then the three candidates, and predicted IoUs (B, 4).
    """
    with torch.no_grad():
        given = _decoder_inputs(model, embedding, points, previous)
    logits, scores, *_ = model.decoder.predict_masks(**given, repeat_image=True)
    return logits, scores


def mask_logits(mask: PackedMask, side: int) -> NDArray[np.float32]:
    """A mask as the logits (side, side) that the prompt encoder takes for a mask prompt."""
    area: NDArray[np.float32] = cv2.resize(
        mask.bitmap().astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    return area * np.float32(MASK_PROMPT_SCALE) + np.float32(MASK_PROMPT_BIAS)


def _decode(
    model: Model,
    embedding: Embedding,
    points: tuple[Tensor, Tensor] | None,
    dense: Tensor | None,
    *,
    multimask: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    given = _decoder_inputs(model, embedding, points, dense)
    prompts = given["sparse_prompt_embeddings"].shape[0]
    logits, scores, _, presence = model.decoder(**given, multimask_output=multimask, repeat_image=prompts > 1)
    return logits.float(), scores.float(), presence.float()


def _decoder_inputs(
    model: Model, embedding: Embedding, points: tuple[Tensor, Tensor] | None, dense: Tensor | None
) -> dict[str, Any]:
    """What the mask decoder takes: the picture's levels, and the prompts as the prompt encoder sees them."""
    image, *details = (torch.from_numpy(level)[None].to(model.device).float() for level in embedding.features)
    if model.network.directly_add_no_mem_embed:
        image = image + model.network.no_mem_embed.view(1, -1, 1, 1)
    sparse, dense_embeddings = model.network.sam_prompt_encoder(points=points, boxes=None, masks=dense)
    return {
        "image_embeddings": image,
        "image_pe": model.dense_positions,
        "sparse_prompt_embeddings": sparse,
        "dense_prompt_embeddings": dense_embeddings,
        "high_res_features": details[::-1],
    }


def _sparse(model: Model, size: Size, prompt: Prompt) -> tuple[Tensor, Tensor | None]:
    """A box is two points with labels of their own, and comes first (as in the stock predictor)."""
    rows: Sequence[tuple[float, float, int]] = [
        *(
            ((prompt.box.x0, prompt.box.y0, BOX_TOP_LEFT), (prompt.box.x1, prompt.box.y1, BOX_BOTTOM_RIGHT))
            if prompt.box
            else ()
        ),
        *((point.x, point.y, POSITIVE if point.positive else NEGATIVE) for point in prompt.points),
    ]
    if not rows:
        return torch.empty(0, 2), None
    coordinates = torch.tensor([row[:2] for row in rows], dtype=torch.float32)
    labels = torch.tensor([row[2] for row in rows], dtype=torch.int, device=model.device)
    return _to_model(model, size, coordinates), labels


def _to_model(model: Model, size: Size, coordinates: Tensor) -> Tensor:
    """Pixels (…, 2) of the picture to pixels of the model's square."""
    return (coordinates / torch.tensor([size.width, size.height]) * model.image_size).to(model.device)
