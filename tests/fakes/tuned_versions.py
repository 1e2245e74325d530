"""Tuned versions of the demo model that can be told apart."""

from __future__ import annotations

import copy
from typing import Any

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.version import Verdict, Version
from label_studio_sam2.engine.tuning.versions import Versions
from torch import nn

from tests.fakes.networks import demo_model


def decoder(value: float) -> nn.Module:
    """The demo model's, with one weight that tells it from others."""
    changed: nn.Module = copy.deepcopy(demo_model().decoder)
    changed.iou_token.weight.data.fill_(value)  # type: ignore[union-attr, operator]
    return changed


def saved(versions: Versions, project: int = 1, value: float = 1.0, **counts: Any) -> Version:
    with versions.training(project):
        return versions.save(project, demo_model(), decoder(value), Verdict(True, "", {}), counts)


def told(model: Model) -> float:
    return float(model.decoder.iou_token.weight[0, 0])
