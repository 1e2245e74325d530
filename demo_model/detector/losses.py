"""What training minimises."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import generalized_box_iou_loss

from demo_model.detector.targets import EITHER, YES, Targets

_FOCUS = 1.5  # the higher, the less do answers count that are nearly right
_LEAST_QUALITY = 0.6  # what a token with a bad box is to answer at least


def class_loss(logits: Tensor, answers: Tensor, quality: Tensor, weights: Tensor) -> Tensor:
    """Focal loss of logits (B, T, queries) that are to be as high as the token's box is good.

    answers: NO, YES or EITHER for each logit. quality: (B, T), how good a token's box is, 0 to 1. weights: (queries,).
    """
    goal = torch.where(answers == YES, quality.clamp(min=_LEAST_QUALITY)[..., None], 0.0)
    plain = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    focused = plain * (logits.sigmoid() - goal).abs().detach() ** _FOCUS
    counted = torch.where(answers == EITHER, 0.0, focused) * weights
    return counted.sum() / (answers == YES).sum().clamp(min=1)


def box_loss(boxes: Tensor, raw: Tensor, bias: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
    """How far boxes (B, T, 4) lie off, each object counted alike; and how good each token's is, (B, T).

    raw: what the head adds to the token's own bias (T, 4) before the sigmoid, which is flat where that bias is large:
    so what it should add counts too.
    """
    owned = targets.owner < len(targets.things)
    owner = targets.owner[owned]
    predicted, true = boxes[owned], targets.boxes[owner]
    tokens = torch.bincount(owner, minlength=len(targets.things)).float()
    weights = 1 / tokens[owner].sqrt()
    weights = weights / weights.sum()
    wanted = torch.logit(true, eps=0.004) - bias.expand(len(boxes), -1, -1)[owned]
    overlap = generalized_box_iou_loss(_corners(predicted), _corners(true))
    apart = (predicted - true).abs().sum(1)
    steps = F.smooth_l1_loss(raw[owned], wanted, reduction="none", beta=0.2).sum(1)
    loss = ((2 * overlap + 5 * apart + 0.3 * steps) * weights).sum()
    quality = torch.zeros_like(owned, dtype=boxes.dtype)
    quality[owned] = (1 - overlap.detach()).clamp(0, 1)
    return loss, quality


def helper_loss(
    halfway: dict[str, Tensor], final: dict[str, Tensor], targets: Targets
) -> tuple[Tensor, dict[str, float]]:
    """How wrong the helpers are about the tokens that an object owns, each object counted alike: its shape, which cells
    around the token it fills, and what it fills of its box. Also the parts, for the log."""
    owned = targets.owner < len(targets.things)
    owner = targets.owner[owned]
    weights = 1 / torch.bincount(owner, minlength=len(targets.things)).float()[owner].sqrt()
    weights = weights / weights.sum()
    shapes, windows, outlines = targets.shapes[owner], targets.windows[owned], targets.outlines[owner]
    parts = {
        "halfway": F.cross_entropy(halfway["shape"][owned], shapes, reduction="none"),
        "shape": F.cross_entropy(final["shape"][owned], shapes, reduction="none"),
        "window": _cells_loss(halfway["cells"][owned], windows),
        "outline": _cells_loss(final["cells"][owned], outlines),
    }
    means = {name: (part * weights).sum() for name, part in parts.items()}
    loss = means["halfway"] + means["shape"] + 3 * means["window"] + 3 * means["outline"]
    right = (final["shape"][owned].argmax(-1) == shapes).float()
    return loss, {name: mean.item() for name, mean in means.items()} | {
        "right": (right * weights).sum().item()
    }


def _cells_loss(guesses: Tensor, true: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(guesses, true, reduction="none").mean(-1)


def _corners(boxes: Tensor) -> Tensor:
    """Left, top, right, bottom from centre and size."""
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)
