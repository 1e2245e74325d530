"""What older releases left in Redis and in MODEL_CACHE is used, or refused in a sentence; never misread. The folders
beside this file hold what each release stored, and stay as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.doctor import machine
from label_studio_sam2.engine.cache.embedding import PREFIX, VERSION, from_bytes
from label_studio_sam2.engine.tuning.version import FORMAT
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.errors import CheckpointError, UnknownVersion

from tests.fakes.networks import demo_model
from tests.fakes.settings import settings

RELEASES = sorted(path for path in Path(__file__).parent.iterdir() if (path / "v3.json").exists())


def stored(release: Path, folder: Path, **changed: Any) -> Versions:
    """MODEL_CACHE as the release left it, its version in use."""
    there = folder / "versions" / "project-12"
    there.mkdir(parents=True)
    shutil.copy(release / "v3.json", there)
    if changed:
        (there / "v3.json").write_text(json.dumps(json.loads((there / "v3.json").read_text()) | changed))
    (there / "active.json").write_text('{"used": [3]}')
    return Versions(folder / "versions")


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_an_embedding_is_read_as_it_was_or_is_a_miss(release: Path) -> None:
    content = (release / "embedding.bin").read_bytes()
    found = from_bytes(content, "0123456789abcdef-bfloat16-1")
    if PREFIX.unpack_from(content)[1] != VERSION:
        assert found is None
        return
    assert found
    assert found.size == (3, 4)
    assert np.array_equal(found.features[0], np.arange(8, dtype=np.float16).reshape(2, 2, 2))


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_tuned_version_is_read_or_refused_in_a_sentence(release: Path, tmp_path: Path) -> None:
    versions = stored(release, tmp_path)
    if json.loads((release / "v3.json").read_text()).get("format", 1) == FORMAT:
        assert (versions.get(12, 3).name, versions.all(12)[0].counts) == ("project12.v3", {"training": 30})
        with pytest.raises(
            CheckpointError, match=r"was tuned from sam2.1_hiera_small-6d1aa6f3, not from demo"
        ):
            versions.load(demo_model(), versions.get(12, 3))
    else:
        assert "another release" in versions.refused()[12]


@pytest.mark.parametrize(
    "changed",
    [{"format": FORMAT + 1}, {"format": FORMAT + 1, "shape": "of tomorrow"}, {"format": "x" * 5000}],
)
def test_a_version_of_another_format_is_refused_in_a_sentence_that_doctor_says_too(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    versions = stored(RELEASES[-1], tmp_path, **changed)
    with pytest.raises(UnknownVersion, match=r"by another release, and this one reads format 1\. Tune"):
        versions.get(12, 3)
    (check,) = machine.tuned(settings(model_cache=tmp_path))
    assert (check.state, check.project) == ("problem", 12)
    assert "another release" in check.sentence
    assert "fit --project 12" in check.remedy
    assert machine.tuned(settings(model_cache=tmp_path / "nothing")) == []
