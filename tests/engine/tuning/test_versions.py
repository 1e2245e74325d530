from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from label_studio_sam2.engine.model import FROZEN
from label_studio_sam2.engine.tuning.session import TuningSession
from label_studio_sam2.engine.tuning.tune import between
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.errors import Busy, CheckpointError, UnknownVersion

from tests.fakes.networks import demo_model
from tests.fakes.tuned_versions import saved, told


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


def test_parts_that_are_not_taught_stay_the_bases_own_to_the_last_bit(tmp_path: Path) -> None:
    inexact = copy.deepcopy(demo_model().decoder)
    for weight in inexact.parameters():
        weight.data = weight.data * (1 + 1e-5)
    base, versions = demo_model().tuned(inexact, ""), Versions(tmp_path)
    with versions.training(1):
        kept = TuningSession(base, seed=0).kept()
        version = versions.save(1, base, between(inexact, kept, 0.5), Verdict(True, "", {}), {})
    loaded = versions.load(base, version).decoder.state_dict()
    frozen = {name for name in loaded if name.startswith(FROZEN)}
    assert frozen
    for name, tensor in inexact.state_dict().items():
        assert torch.equal(tensor, loaded[name]) == (name in frozen), name


def test_of_many_versions_the_newest_and_the_one_in_use_stay(tmp_path: Path) -> None:
    versions = Versions(tmp_path, kept=2)
    saved(versions)
    versions.use(1, 1)
    for _ in range(4):
        saved(versions)
    assert [version.number for version in versions.all(1)] == [1, 4, 5]
    assert sorted(path.name for path in (tmp_path / "project-1").glob("v*")) == [
        f"v{number}.{suffix}" for number in (1, 4, 5) for suffix in ("json", "safetensors")
    ]


def test_rollback_passes_over_what_was_deleted(tmp_path: Path) -> None:
    versions = Versions(tmp_path, kept=1)
    for _ in range(3):
        versions.use(1, saved(versions).number)
    saved(versions)
    assert versions.rollback(1) is None


def test_versions_chosen_at_the_same_time_are_all_in_the_history(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    numbers = [saved(versions).number for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda number: Versions(tmp_path).use(1, number), numbers))
    seen = [versions.active(1), *(versions.rollback(1) for _ in numbers)]
    assert sorted(number for number in seen if number is not None) == numbers


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "versions").write_text("a file where the folder ought to be")
    with pytest.raises(CheckpointError, match="MODEL_CACHE"), Versions(tmp_path / "versions").training(1):
        pass


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
    inexact = copy.deepcopy(demo_model().decoder)  # the demo model's own weights are exact in half precision
    for weight in inexact.parameters():
        weight.data = weight.data * (1 + 1e-5)
    base = demo_model().tuned(inexact, "")
    measured = TuningSession(base, seed=0).kept()
    with versions.training(1):
        version = versions.save(1, base, measured, Verdict(True, "", {}), {"masks": 3})
    loaded = versions.load(base, version).decoder.state_dict()
    assert not all(torch.equal(tensor, loaded[name]) for name, tensor in inexact.state_dict().items())
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in measured.state_dict().items())
    assert (version.counts["masks"], versions.get(1, 1)) == (3, version)
