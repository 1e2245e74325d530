"""Installed from a bundle, in a network namespace without routes, by the documents' own lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import label_studio_sam2
import pytest
from label_studio_sam2.engine.checkpoints import CHECKPOINTS, download
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import Outgoing

from tests.fakes.settings import settings

ROOT = Path(__file__).parents[2]
NOTHING = {"PATH": f"{os.defpath}:/usr/local/bin", "LANG": "C.UTF-8"}
COPIED = ("Makefile", "pyproject.toml", "README.md", "LICENSE")
LIGHT = ("typer", "pydantic", "pydantic-settings", "rich")
"""What the command line itself is made of: the whole bundle would be gigabytes of torch."""


def lines() -> list[str]:
    return re.findall(
        r"^make (?:bundle|install) .+$", (ROOT / "docs" / "offline.md").read_text(), re.MULTILINE
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose requirements are light."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        shutil.copy(ROOT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.npz", "*.safetensors")
    shutil.copytree(ROOT / "backend", folder / "backend", ignore=ignored)
    (folder / "model_cache").mkdir()
    shutil.copy(ROOT / "model_cache" / "README.md", folder / "model_cache")
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "build.txt", folder / "requirements")
    pinned = (ROOT / "requirements" / "runtime.txt").read_text().splitlines()
    light = "\n".join(line for line in pinned if line.partition("==")[0] in LIGHT) + "\n"
    for name, content in (("runtime", light), ("torch", ""), ("dev", ""), ("label-studio-ml", "")):
        (folder / "requirements" / f"{name}.txt").write_text(content)
    return folder


def run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=checkout, env=NOTHING, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_what_is_bundled_with_internet_is_installed_without_any(checkout: Path) -> None:
    bundle, install = lines()
    made = run(checkout, "bash", "-c", re.sub('MODELS="[^"]*"', "MODELS=", bundle))
    assert made.returncode == 0, made.stderr
    shutil.rmtree(checkout / ".venv")
    (checkout / "bundle" / "model_cache" / "weights.pt").write_text("weights")
    apart = ("unshare", "--map-root-user", "--net")
    assert run(checkout, *apart, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9").returncode != 0
    done = run(checkout, *apart, "bash", "-c", install)
    assert done.returncode == 0, done.stderr
    shown = run(checkout, *apart, ".venv/bin/label-studio-sam2", "--version")
    assert shown.stdout.strip() == label_studio_sam2.__version__
    assert (checkout / "model_cache" / "weights.pt").read_text() == "weights"
    (wheel, *_) = (checkout / "bundle" / "wheels").glob("rich-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-1])
    shutil.rmtree(checkout / ".venv")
    damaged = run(checkout, *apart, "bash", "-c", install)
    assert damaged.returncode != 0
    assert f"wheels/{wheel.name}: FAILED" in damaged.stdout


def test_where_downloads_are_forbidden_a_missing_checkpoint_is_named_with_its_place(tmp_path: Path) -> None:
    offline = Outgoing.of(settings(hf_hub_offline=True))
    with pytest.raises(
        CheckpointError, match=r"HF_HUB_OFFLINE forbids downloads. Put sam2.1_hiera_tiny.pt there"
    ):
        download(CHECKPOINTS["sam2.1_hiera_tiny"], tmp_path, outgoing=offline)
