"""Whether a project's labels mean different things: a cell to one of them, its nucleus to another.

One click on the middle is the same for both, so one decoder can answer only one of them. For each label another one is
tuned, and kept where it is better on tasks that neither was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import nn

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.measuring import Example, IoUs
from label_studio_sam2.learning.gate import Change
from label_studio_sam2.learning.training_set import LEAST_TRAINING_MASKS, Side, TrainingSet

LEAST_GAIN = 0.03
"""In IoU of one click, by which a label's own decoder must be better than the common one."""

GOOD = 0.9
"""In IoU of one click: where the common decoder does so, another one isn't worth its time."""

MOST_LABELS = 4

Tune = Callable[[Sequence[Example], Sequence[Example], int], nn.Module]
"""Examples to tune with and to stop by, and among how many labels time is shared -> a decoder."""

OneClick = Callable[[Model, Sequence[Example]], IoUs]
"""(N, 1): the IoU of a model's answer to one click on each example."""


def own_decoders(
    found: TrainingSet, common: Model, tune: Tune, one_click: OneClick
) -> Mapping[str, nn.Module]:
    """The decoders of those labels that are better off with one of their own."""
    tried = [
        label for label in _labels(found) if one_click(common, _of(found, "checking", label)).mean() < GOOD
    ]
    kept = {}
    for label in tried[:MOST_LABELS]:
        checking = _of(found, "checking", label)
        own = tune(_of(found, "training", label), checking, len(tried[:MOST_LABELS]))
        gained = one_click(common.tuned(own, "candidate"), checking) - one_click(common, checking)
        if Change.of(gained[:, 0], [example.group for example in checking]).sure(LEAST_GAIN):
            kept[label] = own
    return kept


def _labels(found: TrainingSet) -> list[str]:
    """Those of which there is enough to learn from and to compare by; none where there is only one."""
    labels = sorted({example.label for example in found.examples["training"]} - {""})
    enough = [
        label
        for label in labels
        if len(_of(found, "training", label)) >= LEAST_TRAINING_MASKS
        and len({example.group for example in _of(found, "checking", label)}) > 1
    ]
    return enough if len(labels) > 1 else []


def _of(found: TrainingSet, side: Side, label: str) -> list[Example]:
    return [example for example in found.examples[side] if example.label == label]
