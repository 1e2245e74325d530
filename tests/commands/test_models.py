from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.engine.words.published import DETECTORS, WEIGHTS
from label_studio_sam2.errors import CheckpointError
from typer.testing import CliRunner

PUBLISHED = {**CHECKPOINTS, **DETECTORS}


def test_the_list_as_json_says_what_is_published_and_what_is_here(tmp_path: Path) -> None:
    (tmp_path / "sam2.1_hiera_tiny.pt").touch()
    (tmp_path / "owlv2_base").mkdir()
    (tmp_path / "owlv2_base" / WEIGHTS).touch()
    done = CliRunner().invoke(app, ["models", "list", "--json"], env={"MODEL_CACHE": str(tmp_path)})
    found = json.loads(done.stdout)
    assert found["folder"] == str(tmp_path)
    assert {one["name"]: one["here"] for one in found["models"]} == {
        name: name in {"sam2.1_hiera_tiny", "owlv2_base"} for name in PUBLISHED
    }
    assert all(one["sha256"] == PUBLISHED[one["name"]].sha256 for one in found["models"])


def test_a_detector_that_isnt_the_published_one_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "owlv2_base").mkdir()
    (tmp_path / "owlv2_base" / WEIGHTS).write_bytes(b"other weights")
    done = CliRunner().invoke(app, ["models", "verify"], env={"MODEL_CACHE": str(tmp_path)})
    assert isinstance(done.exception, CheckpointError)
    assert "is not the published" in done.exception.detail


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("models download sam2.1_hiera_", "sam2.1_hiera_base_plus", "demo"),
        ("models download owl", "owlv2_large", "demo"),
        ("serve --model d", "demo", "sam2.1_hiera_tiny"),
        ("connect --template b", "bitmask", "video"),
    ],
)
def test_names_complete_in_a_shell(line: str, offered: str, not_offered: str) -> None:
    environment = {
        "_LABEL_STUDIO_SAM2_COMPLETE": "complete_bash",
        "COMP_WORDS": f"label-studio-sam2 {line}",
        "COMP_CWORD": str(len(line.split())),
    }
    done = CliRunner().invoke(app, [], env=environment, prog_name="label-studio-sam2")
    assert offered in done.output.split()
    assert not_offered not in done.output.split()
