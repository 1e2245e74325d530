"""One training step on pictures: encode once, then decode many prompts and their corrections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor, nn

from demo_model import prompts
from demo_model.losses import layout_loss, prompt_loss, true_ious
from demo_model.model import Decoded, Features, decode, encode
from demo_model.prompts import Points, Targets
from demo_model.scenes import LEAST_AREA

_FEEDBACK_SHARE = 0.7  # of the corrections that also see the logits of the mask they correct
_CORRECTION_ROUNDS = (0, 1, 1, 2)  # one of these is drawn for every group
_CORRECTION_WEIGHT = 0.5
_LAYOUT_WEIGHT = 0.5
_NOBODY = 255  # a number that no object has
_PROMPTS = {"click": 3, "pair": 1, "box": 3, "mask": 1}  # for each picture


@dataclass(frozen=True)
class Outcome:
    """The loss of a step and what to log of it."""

    loss: Tensor
    figures: dict[str, float]


def image_step(model: SAM2Base, layout_head: nn.Module, images: Tensor, labels: Tensor) -> Outcome:
    """Loss of a batch: images (N, 1, H, W, 3) uint8 RGB, labels (N, 1, H, W) uint8 object numbers."""
    images, labels = images[:, 0], labels[:, 0]
    features = encode(model, images)
    layout = layout_loss(layout_head(features.pyramid[0]), labels)
    loss = _LAYOUT_WEIGHT * layout
    figures = {"layout": layout.item()}
    for kind, count in _PROMPTS.items():
        picture, _, targets = choose_objects(labels, count)
        for name, weight, decoded in _rounds(model, features, picture, targets, kind):
            loss = loss + weight * prompt_loss(decoded, targets)
            figures |= round_figures(name, decoded, targets)
    return Outcome(loss, figures | {"loss": loss.item()})


def choose_objects(labels: Tensor, count: int) -> tuple[Tensor, Tensor, Targets]:
    """`count` objects of each of N pictures: the pictures' indices and the objects' numbers, both (N x count,), and
    the targets. No object comes twice unless the picture has too few; a picture without any gives empty targets."""
    numbers = labels.long().flatten(1)
    pixels = torch.zeros(len(labels), 256, device=labels.device)
    pixels.scatter_add_(1, numbers, torch.ones_like(numbers, dtype=pixels.dtype))
    present = (pixels >= LEAST_AREA * numbers.shape[1]).float()
    present[:, 0] = 0
    lots, chosen = (present * (1 + torch.rand_like(present))).topk(count, dim=1)
    chosen = torch.where(lots[:, :1] > 0, chosen, _NOBODY)
    chosen = torch.where(lots > 0, chosen, chosen[:, :1]).flatten()
    picture = torch.arange(len(labels), device=labels.device).repeat_interleave(count)
    return picture, chosen, Targets.of(labels[picture] == chosen[:, None, None])


def round_figures(name: str, decoded: Decoded, targets: Targets) -> dict[str, float]:
    """Mean IoUs of a round, for the log."""
    ious = true_ious(decoded.logits, targets.coarse)
    figures = {name: ious[:, 0].mean().item()}
    if name == "click":
        chosen = decoded.ious[:, 1:].argmax(1, keepdim=True)
        figures["click_chosen"] = ious[:, 1:].gather(1, chosen).mean().item()
        figures["click_best"] = ious[:, 1:].amax(1).mean().item()
    return figures


def _rounds(
    model: SAM2Base, features: Features, picture: Tensor, targets: Targets, kind: str
) -> Iterator[tuple[str, float, Decoded]]:
    """The first decode of each prompt and its corrections, each with its name and weight."""
    embedding = (features.coarse + model.no_mem_embed.view(1, -1, 1, 1))[picture]
    fine = (features.fine[0][picture], features.fine[1][picture])
    points, mask_logits = _first_prompt(kind, targets)
    decoded = decode(model, embedding, fine, (points.coordinates, points.labels), mask_logits)
    yield kind, 1.0, decoded
    for number in range(int(_CORRECTION_ROUNDS[int(torch.randint(len(_CORRECTION_ROUNDS), ()))])):
        shown = _shown_mask(decoded) if number == 0 and kind == "click" else decoded.logits[:, 0]
        points = points.and_then(prompts.corrections(targets, shown.detach()))
        fed = prompts.feedback(shown) if torch.rand(()) < _FEEDBACK_SHARE else None
        decoded = decode(model, embedding, fine, (points.coordinates, points.labels), fed)
        yield f"{kind}+{number + 1}", _CORRECTION_WEIGHT, decoded


def _first_prompt(kind: str, targets: Targets) -> tuple[Points, Tensor | None]:
    if kind == "click":
        return prompts.clicks(targets), None
    if kind == "pair":
        return prompts.clicks(targets).and_then(prompts.clicks_outside(targets)), None
    if kind == "box":
        return prompts.boxes(targets), None
    return prompts.none(len(targets.masks), targets.masks.device), prompts.degraded(targets)


def _shown_mask(decoded: Decoded) -> Tensor:
    """The mask an annotator would see after one ambiguous click: the one of three with the highest predicted IoU."""
    chosen = decoded.ious[:, 1:].argmax(1)
    return decoded.logits[torch.arange(len(chosen), device=chosen.device), 1 + chosen]
