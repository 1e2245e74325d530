from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.tuned_models import TunedModels
from label_studio_sam2.engine.tuning.version import Version
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.engine.turn import OnDevice, at_once
from label_studio_sam2.errors import CheckpointError

from tests.fakes.networks import demo_model
from tests.fakes.tuned_versions import saved, told


def test_a_version_is_used_only_once_it_is_chosen_and_only_by_its_project(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    models = TunedModels(versions)
    name = saved(versions).name
    assert models.get(demo_model(), 1) is demo_model()
    versions.use(1, 1)
    tuned = models.get(demo_model(), 1)
    assert (told(tuned), tuned.version) == (1.0, f"{demo_model().version}+{name}")
    assert tuned.fingerprint == demo_model().fingerprint
    assert models.get(demo_model(), 2) is models.get(demo_model(), None) is demo_model()


def test_what_another_process_chooses_answers_the_next_click(tmp_path: Path) -> None:
    here, elsewhere = Versions(tmp_path), Versions(tmp_path)
    models = TunedModels(here)
    saved(here)
    here.use(1, 1)
    assert told(models.get(demo_model(), 1)) == 1.0
    elsewhere.use(1, None)
    assert models.get(demo_model(), 1) is demo_model()


class SlowVersions(Versions):
    """Project 1's decoder takes until `go` to be read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.reading, self.go = Event(), Event()

    def load(self, base: Model, version: Version, on_device: OnDevice = at_once) -> Model:
        if version.project == 1:
            self.reading.set()
            assert self.go.wait(20)
        return super().load(base, version, on_device)


def test_while_one_projects_decoder_is_read_another_project_is_answered(tmp_path: Path) -> None:
    versions = SlowVersions(tmp_path)
    models = TunedModels(versions)
    for project in (1, 2):
        versions.use(project, saved(versions, project, float(project)).number)
    with ThreadPoolExecutor() as threads:
        slow = [threads.submit(models.get, demo_model(), 1) for _ in range(3)]
        assert versions.reading.wait(20)
        assert told(models.get(demo_model(), 2)) == 2.0
        assert not any(one.done() for one in slow)
        versions.go.set()
        assert [told(one.result()) for one in slow] == [1.0] * 3


@pytest.mark.parametrize("damage", ["cut", "bit", "gone", "lineage"])
def test_a_damaged_version_falls_back_to_the_base_with_one_warning(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    versions = Versions(tmp_path)
    models = TunedModels(versions)
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
        assert [models.get(demo_model(), 1) for _ in range(3)] == [demo_model()] * 3
    assert len(caplog.records) == 1
    assert "project 1" in caplog.records[0].getMessage().lower()


def test_a_version_of_another_base_is_not_used(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    models = TunedModels(versions)
    version = saved(versions)
    versions.use(1, 1)
    other = replace(demo_model(), hash="f" * 64)
    assert models.get(other, 1) is other
    with pytest.raises(CheckpointError, match="tuned from demo-"):
        versions.load(other, version)


def test_thousands_of_versions_are_not_looked_at_by_a_click(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    models = TunedModels(versions)
    version = saved(versions)
    versions.use(1, 1)
    lineage = (tmp_path / "project-1" / "v1.json").read_bytes()
    for number in range(2, 2000):
        (tmp_path / "project-1" / f"v{number}.json").write_bytes(lineage)
    first = models.get(demo_model(), 1)
    assert first.tuning == version.name
    (tmp_path / "project-1" / "v1.json").unlink()  # not even read again
    assert models.get(demo_model(), 1) is first
