from __future__ import annotations

from pathlib import Path

import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.commands.masklets import NothingWrittenError
from label_studio_sam2.errors import RequestError
from typer.testing import CliRunner, Result

from tests.fakes.exports import annotation, task, track, two_objects, write


def masklets(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200", "LABEL_STUDIO_URL": ""}).invoke(
        app, ["masklets", *map(str, arguments)]
    )


def test_masklets_says_what_is_written_whose_frame_numbers_it_has_and_what_is_missing(tmp_path: Path) -> None:
    region = track(two_objects()[:, 0], "[ring]")
    region["value"]["sequence"][3]["x"] += 5
    path = write(tmp_path / "export.json", task(annotation([region])), task(number=6))
    result = masklets(path, tmp_path / "out", "--format", "davis")
    assert result.exit_code == 0
    said = " ".join(result.output.split())
    assert f"11 masks on 11 frames of 1 clip are in {tmp_path}/out/." in said
    assert "Frame numbers: Label Studio's, less one (1 clip)." in said
    for lack in (
        "1 │ masks whose box was moved since",
        "region [ring], frame 4",
        "1 │ tasks without a submitted",
    ):
        assert lack in said
    assert len(list((tmp_path / "out" / "Annotations" / "08e54ecd-match").iterdir())) == 11


def test_masklets_fails_only_where_nothing_could_be_written(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(number=6))
    result = masklets(path, tmp_path / "out", "--format", "coco")
    assert result.exit_code == 1
    assert isinstance(result.exception, NothingWrittenError)
    assert "tasks without a submitted annotation" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("missing.json", "out"), "isn't a file"), (("a.json", "out", "--videos", "nowhere"), "isn't a folder")],
)
def test_masklets_names_a_path_that_is_wrong(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    export, out, *rest = arguments
    result = masklets(tmp_path / export, tmp_path / out, "--format", "coco", *rest)
    assert isinstance(result.exception, RequestError)
    assert sentence in result.exception.detail


def test_an_overlay_without_a_folder_of_videos_asks_label_studio_for_them(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(annotation([track(two_objects()[:, 0])])))
    result = masklets(path, tmp_path / "out", "--format", "overlay")
    assert result.exit_code == 1
    assert "set LABEL_STUDIO_URL" in " ".join(result.output.split())
