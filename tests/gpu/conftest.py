"""Tests of the device itself: with a GPU they run on it, `--device cpu` rehearses them, and otherwise a line says that
they didn't run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from label_studio_sam2.engine import device as devices
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.settings import DEMO

from tests.fakes.networks import random_checkpoint

HERE = Path(__file__).parent
WHERE = pytest.StashKey[str]()
SKIPPED = "tests/gpu didn't run: there is no GPU here. `make check-gpu DEVICE=cpu` rehearses them."


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[WHERE] = str(config.getoption("--device")) or ("cuda" if torch.cuda.is_available() else "")
    for item in items:
        if HERE in item.path.parents and not config.stash[WHERE]:
            item.add_marker(pytest.mark.skip(reason=SKIPPED))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if any("tests/gpu" in report.nodeid for report in skipped) and not config.getoption("--device"):
        terminalreporter.write_line(SKIPPED)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    name = request.config.stash[WHERE]
    if name.startswith("cuda"):
        torch.cuda.init()  # type: ignore[no-untyped-call]  # a service on the CPU in this process would hide it
    return devices.choose(name)


@pytest.fixture(scope="session", params=[DEMO, "tiny"])
def model(
    request: pytest.FixtureRequest, device: torch.device, tmp_path_factory: pytest.TempPathFactory
) -> Model:
    """As a service loads it: the demo model, and the real architecture with random weights."""
    folder = tmp_path_factory.mktemp("checkpoints")
    name = DEMO if request.param == DEMO else str(random_checkpoint(folder))
    return load(name, folder, device, encoder_dtype=devices.encoder_dtype(device))


@pytest.fixture(scope="session")
def exact(model: Model) -> Model:
    """Computing in float32 throughout."""
    return replace(model, encoder_dtype=None)


@pytest.fixture
def segmenter(demo: Model) -> Iterator[Segmenter]:
    segmenter = Segmenter(demo, EmbeddingCache(1 << 28), Lane(decodes_apart=demo.device.type != "mps"))
    yield segmenter
    segmenter.close()


@pytest.fixture(scope="session")
def demo(device: torch.device) -> Model:
    return load(DEMO, Path(), device, encoder_dtype=devices.encoder_dtype(device))
