"""Prompts for training, drawn where an annotator would put them. All of it is batched over prompts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BOX_START, BOX_END, NOTHING = 2, 3, -1  # besides 1 for a click inside and 0 for one outside
_TRIES = 6
_BOX_JITTER = 0.08  # of its sides
_FEEDBACK_LIMIT = 32.0  # logits fed back are clamped as SAM2ImagePredictor clamps them


@dataclass(frozen=True)
class Targets:
    """The true masks that N prompts ask for."""

    masks: Tensor  # (N, H, W) bool
    coarse: Tensor  # (N, H/4, W/4) share of each cell inside the mask, 0 to 1

    @classmethod
    def of(cls, masks: Tensor) -> Targets:
        """From full-size masks, (N, H, W) bool."""
        return cls(masks, F.avg_pool2d(masks[:, None].float(), 4)[:, 0])


@dataclass(frozen=True)
class Points:
    """P points for each of N prompts."""

    coordinates: Tensor  # (N, P, 2) pixels, x then y
    labels: Tensor  # (N, P)

    def and_then(self, other: Points) -> Points:
        """These points followed by others."""
        return Points(
            torch.cat([self.coordinates, other.coordinates], dim=1),
            torch.cat([self.labels, other.labels], dim=1),
        )


def clicks(targets: Targets) -> Points:
    """One click inside each target: half of them anywhere in it, half near its middle."""
    wanted = torch.ones(len(targets.masks), dtype=torch.bool, device=targets.masks.device)
    return Points(_pick(targets.coarse, targets.masks, wanted)[:, None], wanted.long()[:, None])


def clicks_outside(targets: Targets) -> Points:
    """One click beside each target or in its hole, where nothing of it is."""
    unwanted = torch.zeros(len(targets.masks), dtype=torch.bool, device=targets.masks.device)
    return Points(_pick(_beside(targets.coarse), targets.masks, unwanted)[:, None], unwanted.long()[:, None])


def boxes(targets: Targets) -> Points:
    """The tight box of each target, its sides moved by up to a few percent, as two labelled corners."""
    masks = targets.masks
    low_x, high_x = _extent(masks.any(dim=1))
    low_y, high_y = _extent(masks.any(dim=2))
    corners = torch.stack([low_x, low_y, high_x, high_y], dim=1)
    sides = torch.stack([high_x - low_x, high_y - low_y] * 2, dim=1)
    corners = corners + (torch.rand_like(corners) * 2 - 1) * _BOX_JITTER * sides
    corners = corners.clamp(0, masks.shape[-1])
    labels = torch.tensor([BOX_START, BOX_END], device=masks.device).expand(len(masks), 2)
    return Points(corners.view(-1, 2, 2), labels)


def corrections(targets: Targets, logits: Tensor) -> Points:
    """One click in the larger error of each prediction, (N, H/4, W/4) logits: in if it misses, out if it spills."""
    predicted, truth = (logits > 0).float(), targets.coarse
    missed, spilt = (truth - predicted).clamp(min=0), (predicted - truth).clamp(min=0)
    misses = missed.sum((1, 2)) >= spilt.sum((1, 2))
    error = torch.where(misses[:, None, None], missed, spilt)
    # What is left where the edges lie is no mistake that a click could mend. Such a prompt gets a click that changes
    # nothing: inside or beside.
    error = (error - 0.5).clamp(min=0)
    right = error.flatten(1).amax(1) == 0
    inside = torch.rand(len(truth), device=truth.device) < 0.5
    needless = torch.where(inside[:, None, None], truth, _beside(truth))
    error = torch.where(right[:, None, None], needless, error)
    wanted = torch.where(right, inside, misses)
    return Points(_pick(error, targets.masks, wanted)[:, None], wanted.long()[:, None])


def feedback(logits: Tensor) -> Tensor:
    """(N, H/4, W/4) logits as the next decode's mask input, (N, 1, H/4, W/4)."""
    return logits.detach().clamp(-_FEEDBACK_LIMIT, _FEEDBACK_LIMIT)[:, None]


def degraded(targets: Targets) -> Tensor:
    """Rough logits of each target, (N, 1, H/4, W/4): moved, swollen or shrunk, of varied confidence."""
    coarse = targets.coarse[:, None]
    kernel = int(torch.randint(1, 3, ()).item()) * 2 + 1
    grown = F.max_pool2d(coarse, kernel, 1, kernel // 2)
    shrunk = -F.max_pool2d(-coarse, kernel, 1, kernel // 2)
    kind = torch.randint(0, 3, (len(coarse), 1, 1, 1), device=coarse.device)
    changed = torch.where(kind == 0, grown, torch.where(kind == 1, shrunk, coarse))
    dx, dy = torch.randint(-2, 3, (2,)).tolist()
    moved = torch.roll(changed, (dy, dx), dims=(2, 3))
    strength = torch.empty(len(coarse), 1, 1, 1, device=coarse.device).uniform_(4, 20)
    return (moved * 2 - 1) * strength


def none(count: int, device: torch.device) -> Points:
    """No point at all, written as one that means nothing."""
    return Points(torch.zeros(count, 1, 2, device=device), torch.full((count, 1), NOTHING, device=device))


def _beside(coarse: Tensor) -> Tensor:
    """1 for the cells within a few of each region that have nothing of it, (N, h, w)."""
    near = F.max_pool2d(coarse[:, None], 9, 1, 4)[:, 0] > 0
    return (near & (coarse == 0)).float()


def _extent(profile: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last True of each row, (N,) float each."""
    length = profile.shape[1]
    first = profile.float().argmax(1)
    last = length - profile.flip(1).float().argmax(1)
    return first.float(), last.float()


def _pick(coarse: Tensor, masks: Tensor, wanted: Tensor) -> Tensor:
    """A pixel of each region, (N, 2) x, y: a cell by its share, then a pixel there whose mask is as wanted, (N,)."""
    count, width = len(coarse), coarse.shape[2]
    depth = F.avg_pool2d(F.avg_pool2d(coarse[:, None], 5, 1, 2), 5, 1, 2)[:, 0]
    central = torch.rand(count, 1, 1, device=coarse.device) < 0.5
    weights = torch.where(
        central, coarse * (depth / depth.amax((1, 2), keepdim=True).clamp(min=1e-6)) ** 8, coarse**2
    )
    cell = torch.multinomial(weights.flatten(1) + 1e-9 * coarse.flatten(1) + 1e-20, 1)
    jitter = torch.rand(count, _TRIES, 2, device=coarse.device) * 4
    corner = torch.stack([cell % width, cell // width], dim=2) * 4
    tries = (corner + jitter).clamp(0, masks.shape[-1] - 0.01)
    x, y = tries.long().unbind(2)
    inside = masks[torch.arange(count, device=masks.device)[:, None], y, x]
    first = (inside == wanted[:, None]).float().argmax(1)
    return tries[torch.arange(count, device=masks.device), first]
