"""A release: what is built is whole, and runs where nothing else of this project is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import httpx
import label_studio_sam2
import pytest

from tests.fakes.eventually import eventually
from tests.fakes.nginx import free_port
from tests.fakes.service_process import answers

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "backend" / "label_studio_sam2"
VERSION = label_studio_sam2.__version__
NOTHING = {"PATH": os.defpath}
"""An environment that leads to no other copy of the package."""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def source_files() -> set[str]:
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(PACKAGE.parent)) for path in files}


@pytest.mark.slow
def test_wheel_and_source_hold_every_file_of_the_package(dist: Path) -> None:
    wheel, source = dist / f"label_studio_sam2-{VERSION}-py3-none-any.whl", f"label_studio_sam2-{VERSION}"
    with zipfile.ZipFile(wheel) as content:
        assert {name for name in content.namelist() if ".dist-info/" not in name} == source_files()
    with tarfile.open(dist / f"{source}.tar.gz") as content:
        held = {name.removeprefix(f"{source}/backend/") for name in content.getnames()}
    assert source_files() <= held


@pytest.mark.slow
def test_the_wheel_runs_in_an_environment_that_holds_nothing_else_of_ours(dist: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment, and as it asks for them."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python, here = tmp_path / "venv" / "bin" / "python", sysconfig.get_paths()
    (wheel,) = dist.glob("*.whl")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps", wheel]
    subprocess.run(pip, env=NOTHING, check=True, capture_output=True)
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(here["purelib"] + "\n")
    command, environment = tmp_path / "venv" / "bin" / "label-studio-sam2", {"MODEL": "demo", "DEVICE": "cpu"}
    shown = subprocess.run(
        [command, "--version"], env=environment, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == VERSION
    where = [python, "-c", "import label_studio_sam2; print(label_studio_sam2.__file__)"]
    found = subprocess.run(
        where, cwd=tmp_path, env=NOTHING, capture_output=True, text=True, check=True
    ).stdout
    assert found.startswith(str(packages))
    checked = subprocess.run(
        [python, "-m", "pip", "check"], env=NOTHING, capture_output=True, text=True, check=False
    ).stdout
    assert "label-studio-sam2" not in checked, checked
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    serve = [command, "serve", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(serve, cwd=tmp_path, env=environment)
    try:
        eventually(lambda: answers(address + "/ready"), seconds=90)
        for path in ("/docs", "/web/docs.js", "/web/sample.mp4", "/openapi.json"):
            assert httpx.get(address + path, trust_env=False).is_success, path
    finally:
        process.terminate()
        process.wait(60)
