from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.versions import Version, Versions
from label_studio_sam2.errors import Busy, UnknownVersion
from label_studio_sam2.gate import Verdict
from torch import nn

from tests.engine.networks import demo_model


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


def test_versions_count_up_and_rollback_goes_back_one_by_one_to_the_base(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    for value in (1.0, 2.0):
        versions.use(1, saved(versions, value=value).number)
    assert versions.active(1) == 2
    assert versions.rollback(1) == 1
    assert versions.active(1) == 1
    assert versions.rollback(1) is None
    assert versions.active(1) is None
    with pytest.raises(UnknownVersion, match="never used"):
        versions.rollback(1)


def test_one_project_is_trained_once_at_a_time_and_two_side_by_side(tmp_path: Path) -> None:
    one, other = Versions(tmp_path), Versions(tmp_path)
    with one.training(1):
        with pytest.raises(Busy, match="being tuned already"), other.training(1):
            pass
        with other.training(2):
            pass
    with other.training(1):
        pass


def test_what_a_killed_run_left_is_no_version_and_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    saved(versions)
    folder = tmp_path / "project-1"
    (folder / "v2.safetensors.part").write_bytes(b"half")
    (folder / "v2.safetensors").write_bytes(b"whole, but its lineage was never written")
    assert [version.number for version in versions.all()] == [1]
    assert saved(versions).number == 2
    assert sorted(path.name for path in folder.glob("v2*")) == ["v2.json", "v2.safetensors"]
    assert told(versions.load(demo_model(), versions.get(1, 2))) == 1.0


def test_a_version_that_there_isnt_cant_be_used(tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion, match="Project 1 has no version 7"):
        Versions(tmp_path).use(1, 7)


def test_a_stored_decoder_answers_as_it_did_when_it_was_measured(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    rounded = copy.deepcopy(demo_model().decoder)
    for weight in rounded.parameters():
        weight.data = weight.data.half().float()
    with versions.training(1):
        version = versions.save(1, demo_model(), rounded, Verdict(True, "", {}), {"masks": 3})
    loaded = versions.load(demo_model(), version).decoder.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in rounded.state_dict().items())
    assert (version.counts["masks"], versions.get(1, 1)) == (3, version)
