"""What training minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from demo_model.model import Decoded
from demo_model.prompts import Targets

_BCE_WEIGHT = 5.0
_OTHERS_WEIGHT = 0.3  # of the masks that are not the best of three, so that a wrong choice costs little


def mask_losses(logits: Tensor, coarse: Tensor) -> Tensor:
    """5 BCE + dice of (N, K, h, w) logits against (N, h, w) shares: (N, K)."""
    flat, truth = logits.flatten(2), coarse.flatten(1)[..., None]
    # Summed over pixels: softplus(x) - x t is the cross-entropy of logit x and share t.
    agreement = (flat @ truth)[..., 0]
    entropy = (F.softplus(flat).sum(2) - agreement) / flat.shape[2]
    shares = flat.sigmoid()
    dice = 1 - (2 * (shares @ truth)[..., 0] + 1) / (shares.sum(2) + truth.sum(1) + 1)
    return _BCE_WEIGHT * entropy + dice


@torch.no_grad()
def true_ious(logits: Tensor, coarse: Tensor) -> Tensor:
    """IoU of (N, K, h, w) logits with the truth, (N, K); 1 where both are empty."""
    predicted, truth = (logits > 0).float().flatten(2), (coarse > 0.5).float().flatten(1)
    overlap = (predicted @ truth[..., None])[..., 0]
    union = predicted.sum(2) + truth.sum(1, keepdim=True) - overlap
    return torch.where(union > 0, overlap / union.clamp(min=1), 1.0)


def prompt_loss(decoded: Decoded, targets: Targets, *, counted: Tensor | None = None) -> Tensor:
    """Mean loss of N prompts, or of those that are counted, (N,) bool.

    The single mask counts, and the best of the other three as much, and the rest a little. All of it for every
    prompt, not only for ambiguous ones: SAM 2 falls back on the three where the single mask is unstable.
    """
    losses = mask_losses(decoded.logits, targets.coarse)
    three = losses[:, 1:]
    best = three.min(1).values
    loss = losses[:, 0] + best + _OTHERS_WEIGHT * (three.mean(1) - best / 3)
    loss = loss + (decoded.ious - true_ious(decoded.logits, targets.coarse)).abs().mean(1)
    if counted is None:
        return loss.mean()
    return (loss * counted).sum() / counted.sum().clamp(min=1)


def layout_loss(predicted: Tensor, labels: Tensor) -> Tensor:
    """Loss of an auxiliary map that says of each cell whether and where an object is.

    predicted is (N, 6, h, w): logits of "object" and "edge", and the distances to the left, top, right and bottom of
    the object's box, in halves of the picture; labels are (N, 4h, 4w) object numbers. It teaches the encoder objects
    as wholes long before prompts would, and is thrown away afterwards.
    """
    share = F.avg_pool2d((labels > 0).float()[:, None], 4)[:, 0]
    edge = _edges(labels)
    maps = F.binary_cross_entropy_with_logits(predicted[:, 0], share) + F.binary_cross_entropy_with_logits(
        predicted[:, 1], edge
    )
    # A cell has no middle pixel. Which of the four is taken does not matter to distances within the object.
    cells = labels[:, 2::4, 2::4]
    inside = (cells > 0).float()
    distance = (predicted[:, 2:] - _box_distances(cells)).abs().mean(1)
    return maps + 2 * (distance * inside).sum() / inside.sum().clamp(min=1)


def _edges(labels: Tensor) -> Tensor:
    """1 for cells that more than one number shares."""
    numbers = labels[:, None].float()
    highest, lowest = F.max_pool2d(numbers, 4), -F.max_pool2d(-numbers, 4)
    return (highest != lowest).float()[:, 0]


def _box_distances(cells: Tensor) -> Tensor:
    """(N, h, w) object numbers to (N, 4, h, w) distances from each cell to its object's box sides."""
    count, height, width = cells.shape
    axis = torch.linspace(-1, 1, width, device=cells.device)
    x, y = axis.expand(count, height, width), axis[:, None].expand(count, height, width)
    values = torch.stack([-x, -y, x, y], dim=1).flatten(2)  # the largest is the side farthest that way
    number = cells.long().flatten(1)[:, None].expand(-1, 4, -1)
    sides = torch.full((count, 4, 256), -2.0, device=cells.device).scatter_reduce(2, number, values, "amax")
    return (sides.gather(2, number) - values).view(count, 4, height, width)
