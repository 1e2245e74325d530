"""What tuning minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BCE, OTHERS, RANKING = 5.0, 0.2, 0.5
"""Weights beside dice and the IoU error: cross-entropy, the candidates that aren't the best, the choice among them."""

KEPT = 8.0
"""Of masks that ought to stay as they are, beside their ratings."""


REJECTED = 0.5
"""In IoU with a mask that was rejected: what is as near as that is rated as nothing."""


def candidates_loss(logits: Tensor, ious: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """The loss of N prompts, of which each counts by its weight (N,): logits (N, 4, S, S) and predicted IoUs (N, 4),
    the single mask first, against the truth (N, S, S) as shares of each cell.

    The single mask counts, and the best of the three candidates (Segment Anything, appendix A), and the others a
    little. The IoU head learns each mask's IoU, and which candidate is the best: that is the one which is answered.
    """
    losses = _mask_losses(logits, truth[:, None].expand_as(logits))
    three = losses[:, 1:]
    masks = losses[:, 0] + three.amin(1) + OTHERS * three.mean(1)
    return (weights * (masks + _rating_losses(ious, _ious(logits, truth)))).sum() / weights.sum()


def rejected_loss(
    logits: Tensor, ious: Tensor, before: Tensor, ious_before: Tensor, rejected: Tensor
) -> Tensor:
    """As `kept_loss`, but those of the masks before that are much the same as a rejected one (N, S, S) are to be rated
    0: another reading of the prompt is answered then, or none that is rated well."""
    wanted = torch.where(_ious(before, rejected) >= REJECTED, 0.0, ious_before)
    return kept_loss(logits, ious, before, wanted)


def kept_loss(logits: Tensor, ious: Tensor, before: Tensor, ious_before: Tensor) -> Tensor:
    """How far N prompts' answers have moved from those `before` tuning, all of the same shapes as above.

    It is least at the beginning, so unlike the truth it pulls nowhere but back (Li and Hoiem 2016, Learning without
    Forgetting).
    """
    masks = _mask_losses(logits, before.sigmoid()).mean(1)
    return (KEPT * masks + _rating_losses(ious, ious_before)).mean()


def _mask_losses(logits: Tensor, wanted: Tensor) -> Tensor:
    """(N, C): cross-entropy and dice of each candidate with the shares of each cell that it ought to have."""
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((2, 3))
    shares = logits.sigmoid()
    both = shares.square().sum((2, 3)) + wanted.square().sum((2, 3))
    dice = 1 - (2 * (shares * wanted).sum((2, 3)) + 1) / (both + 1)
    return BCE * entropy + dice


def _rating_losses(ious: Tensor, wanted: Tensor) -> Tensor:
    """(N,): the error of the predicted IoUs, and of which candidate they put first."""
    error = (ious - wanted).abs().mean(1)
    choice = -((wanted[:, 1:] / 0.1).softmax(1) * (ious[:, 1:] / 0.1).log_softmax(1)).sum(1)
    return error + RANKING * choice


@torch.no_grad()
def _ious(logits: Tensor, truth: Tensor) -> Tensor:
    found, wanted = logits > 0, (truth > 0.5)[:, None]
    union = (found | wanted).sum((2, 3))
    return (found & wanted).sum((2, 3)) / union.clamp(min=1)
