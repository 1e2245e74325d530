"""A copy of a mask decoder in training. Clicks go on with the decoder that it is a copy of, and what the embedding
depends on stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from math import cos, pi
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.image import decoding
from label_studio_sam2.engine.model import Model, is_taught
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.engine.tuning.losses import candidates_loss, kept_loss, rejected_loss
from label_studio_sam2.engine.tuning.measuring import Example
from label_studio_sam2.types import Bitmap

PROMPTS = 6
"""A step's prompts, all on one picture."""

RATE = 5e-4
WARM_UP, LAST = 20, 0.05
"""The rate rises for so many steps and falls on a cosine to this share: what was learnt settles with the rest."""

WEIGHT_DECAY = 0.01
CLIP = 1.0
AVERAGED = 0.95
"""Of the weights that are measured and kept: a moving average over the last twenty steps."""

CORRECTED = 0.4
"""The share of steps that go on with corrective clicks."""


Aim = Literal["accepted", "kept", "rejected"]
"""What a step pulls to: the masks that were accepted; what was answered before; the same, but for masks that were
rejected, which are to be rated as nothing."""


class TuningSession:
    """The decoder in training, its optimizer and its moving average. Used on the lane only, by one run."""

    def __init__(self, model: Model, seed: int) -> None:
        self._base = model
        self.decoder = copy.deepcopy(model.decoder)
        self.model = replace(model, decoder=self.decoder, dense_positions=model.dense_positions.clone())
        for name, weight in self.decoder.named_parameters():
            weight.requires_grad_(is_taught(name))
        self._weights = [weight for weight in self.decoder.parameters() if weight.requires_grad]
        self._average = [weight.detach().clone() for weight in self._weights]
        self._optimizer = torch.optim.AdamW(self._weights, lr=RATE, weight_decay=WEIGHT_DECAY, fused=True)
        self._steps = 0
        self._rng = np.random.default_rng(seed)

    def step(self, examples: Sequence[Example], embedding: Embedding, aim: Aim, done: float) -> None:
        """One step of the optimizer on one picture's examples. `done` is the share of the run that is over."""
        chosen = [examples[i] for i in self._rng.permutation(np.resize(np.arange(len(examples)), PROMPTS))]
        self._steps += 1
        for group in self._optimizer.param_groups:
            group["lr"] = RATE * min(1, self._steps / WARM_UP, (1 + LAST + (1 - LAST) * cos(pi * done)) / 2)
        self._optimizer.zero_grad(set_to_none=True)
        self._loss(chosen, embedding, aim).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, CLIP)
        self._optimizer.step()
        with torch.no_grad():
            keep = min(AVERAGED, self._steps / (self._steps + 1))
            torch._foreach_lerp_(self._average, self._weights, 1 - keep)

    def kept(self) -> nn.Module:
        """The averaged decoder, its weights rounded as they are stored; those that aren't taught stay as they are."""
        decoder: nn.Module = copy.deepcopy(self.decoder)
        averaged = iter(self._average)
        for weight in decoder.parameters():
            if weight.requires_grad:
                weight.data = rounded(next(averaged))
        return decoder.eval().requires_grad_(False)

    def _loss(self, examples: Sequence[Example], embedding: Embedding, aim: Aim) -> Tensor:
        side, device = self.model.image_size, self.model.device
        masks = [example.mask.bitmap() for example in examples]
        truth = torch.from_numpy(np.stack([_coarse(mask, side // 4) for mask in masks])).to(device)
        weights = torch.tensor([example.weight for example in examples], device=device)
        ambiguous = bool(self._rng.random() < 0.6)
        prompts = [_first(mask, ambiguous, self._rng) for mask in masks]
        rounds = int(self._rng.integers(1, 3)) if self._rng.random() < CORRECTED else 0
        now = decoding.prepare(self.model, embedding)
        before = decoding.prepare(self._base, embedding) if aim != "accepted" else None
        loss, fed = torch.zeros((), device=device), None
        for corrections in range(rounds + 1):
            answer = self._decode(now, prompts, fed)
            if before is None:
                loss = loss + candidates_loss(*answer, truth, weights)
            else:
                with torch.no_grad():
                    was = self._decode(before, prompts, fed)
                kept = aim == "kept"
                loss = loss + (kept_loss(*answer, *was) if kept else rejected_loss(*answer, *was, truth))
            if corrections < rounds:
                fed = _answer(*answer, ambiguous).detach()
                wrong = _bitmaps(fed, side)
                prompts = [
                    _and_correction(*row, self._rng) for row in zip(prompts, masks, wrong, strict=True)
                ]
                ambiguous, fed = False, fed.clamp(-decoding.LOGIT_BOUND, decoding.LOGIT_BOUND)
        return loss / (1 + rounds)

    @staticmethod
    def _decode(
        prepared: decoding.Prepared, prompts: Sequence[Points], fed: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        rows = torch.tensor(np.array(prompts), dtype=torch.float32, device=prepared.image.device)
        points = rows[..., :2], rows[..., 2].int()
        logits, ious, _ = decoding.decode_all(prepared, points, None if fed is None else fed[:, None])
        return logits, ious


Points = list[tuple[float, float, int]]
"""x and y in pixels of the model's square, and the prompt encoder's label."""


def _first(mask: Bitmap, ambiguous: bool, rng: np.random.Generator) -> Points:
    if ambiguous:
        at = prompting.click(mask, rng)
        return [(at.x, at.y, decoding.POSITIVE)]
    x0, y0, x1, y1 = prompting.box(mask, rng)
    return [(x0, y0, decoding.BOX_TOP_LEFT), (x1, y1, decoding.BOX_BOTTOM_RIGHT)]


def _and_correction(prompt: Points, mask: Bitmap, answered: Bitmap, rng: np.random.Generator) -> Points:
    at = prompting.correction(mask, answered, rng) or prompting.click(mask, rng)
    return [*prompt, (at.x, at.y, decoding.POSITIVE if at.positive else decoding.NEGATIVE)]


def _answer(logits: Tensor, ious: Tensor, ambiguous: bool) -> Tensor:
    """The logits (N, S, S) of the mask that would be answered."""
    if not ambiguous:
        return logits[:, 0]
    best = ious[:, 1:].argmax(1) + 1
    return logits[torch.arange(len(logits), device=logits.device), best]


def _bitmaps(logits: Tensor, side: int) -> list[Bitmap]:
    return [cv2.resize(one, (side, side)) > 0 for one in logits.cpu().numpy()]


def _coarse(mask: Bitmap, side: int) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = cv2.resize(
        mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    return shares


def rounded(weight: Tensor) -> Tensor:
    """As it is stored."""
    return weight.half().to(weight.dtype)
