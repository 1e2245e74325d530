"""What tuning minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BCE, OTHERS, RANKING = 5.0, 0.2, 0.5
"""Weights beside dice and the IoU error: cross-entropy, the candidates that aren't the best, the choice among them."""


def candidates_loss(logits: Tensor, ious: Tensor, truth: Tensor) -> Tensor:
    """The mean loss of N prompts: logits (N, 4, S, S) and predicted IoUs (N, 4), the single mask first, against the
    truth (N, S, S) as shares of each cell.

    The single mask counts, and the best of the three candidates (Segment Anything, appendix A), and the others a
    little. The IoU head learns each mask's IoU, and which candidate is the best: that is the one which is answered.
    """
    losses = _mask_losses(logits, truth)
    three = losses[:, 1:]
    masks = losses[:, 0] + three.amin(1) + OTHERS * three.mean(1)
    actual = _ious(logits, truth)
    error = (ious - actual).abs().mean(1)
    wanted = (actual[:, 1:] / 0.1).softmax(1)
    choice = -(wanted * (ious[:, 1:] / 0.1).log_softmax(1)).sum(1)
    return (masks + error + RANKING * choice).mean()


def _mask_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """(N, C): cross-entropy and dice of each candidate."""
    wanted = truth[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((2, 3))
    shares = logits.sigmoid()
    dice = 1 - (2 * (shares * wanted).sum((2, 3)) + 1) / (shares.sum((2, 3)) + wanted.sum((2, 3)) + 1)
    return BCE * entropy + dice


@torch.no_grad()
def _ious(logits: Tensor, truth: Tensor) -> Tensor:
    found, wanted = logits > 0, (truth > 0.5)[:, None]
    union = (found | wanted).sum((2, 3))
    return (found & wanted).sum((2, 3)) / union.clamp(min=1)
