from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e import editor as editors
from tests.e2e import label_studio as label_studios
from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.fakes import chromium


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--label-studio",
        type=Path,
        default=Path(".venv-label-studio"),
        help="the virtual environment that holds label-studio, made by `make e2e`",
    )
    parser.addoption(
        "--screenshots", type=Path, default=Path("out/screenshots"), help="folder for the README's pictures"
    )


@pytest.fixture(scope="session")
def label_studio(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudio]:
    environment: Path = request.config.getoption("--label-studio")
    assert (environment / "bin" / "label-studio").exists(), (
        f"no Label Studio in {environment}: run `make e2e`"
    )
    with label_studios.running(environment.absolute(), tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@pytest.fixture(scope="session")
def backend(label_studio: LabelStudio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """With the legacy token; tests of other keys start their own."""
    settings = {"LABEL_STUDIO_URL": label_studio.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    running = Backend(tmp_path_factory.mktemp("backend"), settings)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def editor(browser: Browser, label_studio: LabelStudio) -> Iterator[Editor]:
    with editors.logged_in(browser, label_studio) as tab:
        yield tab


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.config.getoption("--screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
