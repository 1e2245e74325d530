"""The cheap half: `decode` every prompt from a picture's embedding, at once.

Before that, `prepare` does what every decoding of a picture would begin with. All run inside `torch.inference_mode`
(the lane enters it), except where a decoder is tuned. None keeps anything, so results depend on the arguments alone,
whoever asks and whenever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.host import kept, to_device, to_host
from label_studio_sam2.engine.image.mask_decoder import DecoderOutput, PictureSide, picture_side, predict
from label_studio_sam2.engine.model import Model
from label_studio_sam2.types import PackedMask, Prompt, Size

LOGIT_BOUND = 32.0
"""Low-resolution logits are clamped to this before they are fed back (sam2.SAM2ImagePredictor._predict)."""

MASK_PROMPT_SCALE = 20.0
MASK_PROMPT_BIAS = -10.0
"""How a binary mask becomes logits: as SAM 2 scales masks for its memory encoder."""

CLICK_BYTES = 48 << 20
"""What decoding one of many clicks takes at its peak, at 1024 px: the features upscaled for it, a few times over."""

CLICKS_AT_ONCE, CLICKS_ON_A_GPU = 4, 64
"""Of everything mode, in one turn on the device. On a CPU each costs the same in any number, and a user's click may
wait for a turn."""

NEGATIVE, POSITIVE, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = 0, 1, 2, 3
"""Point labels of the prompt encoder."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A picture of `size` on a model's device, ready for any number of prompts to that model.

    At 1024 px 26 MiB: `image` (1, C, S, S), with the no-memory embedding; the high-resolution levels `details`, fine
    to coarse; and the picture's side of the decoder's first layer, for prompts without a mask.
    """

    model: Model
    size: Size
    image: Tensor
    details: tuple[Tensor, Tensor]
    side: PictureSide

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in (self.image, *self.details, *self.side))


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the mask decoder says to one prompt, at low resolution, the best candidate first.

    `logits` (C, S, S) float32, S a quarter of the model's image size; `scores` (C,) predicted IoU;
    `object_score` the logit of "the object is in the picture".
    """

    logits: NDArray[np.float32]
    scores: NDArray[np.float32]
    object_score: float

    @property
    def nbytes(self) -> int:
        return self.logits.nbytes


def prepare(model: Model, embedding: Embedding) -> Prepared:
    """What decoding begins with, whatever the prompt: about a fifth of it."""
    image, coarse, fine = (
        to_device(torch.from_numpy(level)[None], model.device).float() for level in embedding.features
    )
    if model.network.directly_add_no_mem_embed:
        image = image + model.network.no_mem_embed.view(1, -1, 1, 1)
    no_mask = model.network.sam_prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
    side = picture_side(model.decoder, image + no_mask, model.dense_positions)
    return Prepared(model, embedding.size, image, (fine, coarse), side)


def decode(prepared: Prepared, prompt: Prompt, previous: NDArray[np.float32] | None = None) -> Decoded:
    """Candidates for one prompt: three for a single ambiguous click, one otherwise (Segment Anything, section 3).

    `previous` (S, S) are the logits of the prompt that this one extends; a prompt that extends none starts from its
    own mask, if it has one.
    """
    coordinates, labels = _sparse(prepared, prompt)
    if previous is None and prompt.mask is not None:
        previous = mask_logits(prompt.mask, 4 * prepared.image.shape[-1])
    dense = (
        None if previous is None else to_device(torch.from_numpy(previous)[None, None], prepared.model.device)
    )
    points = None if labels is None else (coordinates[None], labels[None])
    logits, scores, presence = _decode(prepared, points, dense, multimask=prompt.ambiguous)
    order = torch.argsort(scores[0], descending=True, stable=True)
    bounded = logits[0, order].clamp_(-LOGIT_BOUND, LOGIT_BOUND)
    arrays = to_host([bounded, scores[0, order], presence[0]])
    found, rated, present = map(kept, arrays) if prepared.model.device.type == "cuda" else arrays
    return Decoded(found, rated, float(present[0]))


def decode_points(
    prepared: Prepared, points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three candidates for each of B single clicks (B, 2) in pixels, decoded as one batch.

    Returns logits (B, 3, S, S) and predicted IoUs (B, 3).
    """
    coordinates = _to_model(prepared, torch.from_numpy(points))[:, None]
    labels = torch.ones(coordinates.shape[:2], dtype=torch.int, device=coordinates.device)
    logits, scores, _ = _decode(prepared, (coordinates, labels), None, multimask=True)
    found, rated = to_host([logits, scores])
    return found, rated


def points_at_once(model: Model) -> int:
    """For how many clicks in one batch there is room, now."""
    if model.device.type != "cuda":
        return CLICKS_AT_ONCE
    memory = device.memory(model.device)
    there = memory["free"] + memory["held"] - memory["used"]
    each = CLICK_BYTES * model.image_size**2 // 1024**2
    return max(1, min(CLICKS_ON_A_GPU, there // each))


def decode_all(
    prepared: Prepared, points: tuple[Tensor, Tensor] | None, previous: Tensor | None
) -> DecoderOutput:
    """All four masks of B prompts at once, with gradients for the decoder where they are wanted.

    `points` are coordinates (B, P, 2) on the model's square and labels (B, P), `previous` logits (B, 1, S, S); either
    may be None.
    """
    model, side = prepared.model, prepared.side
    with torch.no_grad():
        sparse, dense = model.network.sam_prompt_encoder(points=points, boxes=None, masks=previous)
    if previous is not None:
        side = picture_side(model.decoder, prepared.image + dense, model.dense_positions)
    return predict(model.decoder, side, prepared.details, model.dense_positions, sparse)


def mask_logits(mask: PackedMask, side: int) -> NDArray[np.float32]:
    """A mask as the logits (side, side) that the prompt encoder takes for a mask prompt."""
    area: NDArray[np.float32] = cv2.resize(
        mask.bitmap().astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    return area * np.float32(MASK_PROMPT_SCALE) + np.float32(MASK_PROMPT_BIAS)


def _decode(
    prepared: Prepared, points: tuple[Tensor, Tensor] | None, dense: Tensor | None, *, multimask: bool
) -> DecoderOutput:
    """The three candidates, or one mask: the single one if it is stable, else the best of the three."""
    logits, ious, presence = decode_all(prepared, points, dense)
    if multimask:
        return DecoderOutput(logits[:, 1:].float(), ious[:, 1:].float(), presence.float())
    one = prepared.model.decoder._dynamic_multimask_via_stability(logits, ious)
    return DecoderOutput(one[0].float(), one[1].float(), presence.float())


def _sparse(prepared: Prepared, prompt: Prompt) -> tuple[Tensor, Tensor | None]:
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
    labels = torch.tensor([row[2] for row in rows], dtype=torch.int)
    return _to_model(prepared, coordinates), to_device(labels, prepared.model.device)


def _to_model(prepared: Prepared, coordinates: Tensor) -> Tensor:
    """Pixels (…, 2) of the picture to pixels of the model's square."""
    width_and_height = torch.tensor([prepared.size.width, prepared.size.height])
    return to_device(coordinates / width_and_height * prepared.model.image_size, prepared.model.device)
