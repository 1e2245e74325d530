from __future__ import annotations

import copy
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.versions import Version, Versions
from label_studio_sam2.errors import Busy, CheckpointError, UnknownVersion
from torch import nn

from tests.engine.networks import demo_model


def decoder(value: float) -> nn.Module:
    """The demo model's, with one weight that tells it from others."""
    changed: nn.Module = copy.deepcopy(demo_model().decoder)
    changed.iou_token.weight.data.fill_(value)  # type: ignore[union-attr, operator]
    return changed


def saved(versions: Versions, project: int = 1, value: float = 1.0, **counts: Any) -> Version:
    with versions.training(project):
        return versions.save(
            project, demo_model(), decoder(value), accepted=True, reason="", counts=counts, figures={}
        )


def told(model: Model) -> float:
    return float(model.decoder.iou_token.weight[0, 0])


def test_a_version_is_used_only_once_it_is_chosen_and_only_by_its_project(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    saved(versions)
    assert versions.model(demo_model(), 1) is demo_model()
    versions.use(1, 1)
    tuned = versions.model(demo_model(), 1)
    assert (told(tuned), tuned.version) == (1.0, f"{demo_model().version}+project1.v1")
    assert tuned.fingerprint == demo_model().fingerprint
    assert versions.model(demo_model(), 2) is versions.model(demo_model(), None) is demo_model()


def test_versions_count_up_and_rollback_goes_back_one_by_one_to_the_base(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    for value in (1.0, 2.0):
        versions.use(1, saved(versions, value=value).number)
    assert told(versions.model(demo_model(), 1)) == 2.0
    assert versions.rollback(1) == 1
    assert told(versions.model(demo_model(), 1)) == 1.0
    assert versions.rollback(1) is None
    assert versions.model(demo_model(), 1) is demo_model()
    with pytest.raises(UnknownVersion, match="never used"):
        versions.rollback(1)


def test_what_another_process_chooses_answers_the_next_click(tmp_path: Path) -> None:
    here, elsewhere = Versions(tmp_path), Versions(tmp_path)
    saved(here)
    here.use(1, 1)
    assert told(here.model(demo_model(), 1)) == 1.0
    elsewhere.use(1, None)
    assert here.model(demo_model(), 1) is demo_model()


@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "lineage"])
def test_a_damaged_version_falls_back_to_the_base_with_one_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    versions = Versions(tmp_path)
    saved(versions)
    versions.use(1, 1)
    path = tmp_path / "project-1" / "v1.safetensors"
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "bit":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "gone":
        path.unlink()
    else:
        path.with_suffix(".json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert [versions.model(demo_model(), 1) for _ in range(3)] == [demo_model()] * 3
    assert len(caplog.records) == 1
    assert "project 1" in caplog.records[0].getMessage().lower()


def test_a_version_of_another_base_is_not_used(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    version = saved(versions)
    versions.use(1, 1)
    other = replace(demo_model(), hash="f" * 64)
    assert versions.model(other, 1) is other
    with pytest.raises(CheckpointError, match="tuned from demo-"):
        versions.load(other, version)


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
    versions.use(1, 2)
    assert told(versions.model(demo_model(), 1)) == 1.0


def test_a_version_that_there_isnt_cant_be_used(tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion, match="Project 1 has no version 7"):
        Versions(tmp_path).use(1, 7)


def test_a_stored_decoder_answers_as_it_did_when_it_was_measured(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    rounded = copy.deepcopy(demo_model().decoder)
    for weight in rounded.parameters():
        weight.data = weight.data.half().float()
    with versions.training(1):
        version = versions.save(
            1, demo_model(), rounded, accepted=True, reason="", counts={"masks": 3}, figures={}
        )
    loaded = versions.load(demo_model(), version).decoder.state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in rounded.state_dict().items())
    assert (version.counts["masks"], versions.get(1, 1)) == (3, version)


def test_thousands_of_versions_are_not_looked_at_by_a_click(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    version = saved(versions)
    versions.use(1, 1)
    lineage = (tmp_path / "project-1" / "v1.json").read_bytes()
    for number in range(2, 2000):
        (tmp_path / "project-1" / f"v{number}.json").write_bytes(lineage)
    first = versions.model(demo_model(), 1)
    assert first.tuning == version.name
    (tmp_path / "project-1" / "v1.json").unlink()  # not even read again
    assert versions.model(demo_model(), 1) is first
