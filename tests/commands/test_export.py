from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.commands.masklets import NothingWrittenError
from label_studio_sam2.errors import RequestError
from typer.testing import CliRunner, Result

from tests.fakes import exports as clips
from tests.fakes import readers
from tests.fakes.annotated import CONFIG, annotation, save, task, two_objects, write
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving

STREET = "/data/upload/4/08e54ecd-street.png"


def export(*arguments: str | Path, url: str = "") -> Result:
    env = {"COLUMNS": "200", "LABEL_STUDIO_URL": url, "LABEL_STUDIO_API_KEY": LEGACY if url else ""}
    return CliRunner(env=env).invoke(app, ["export", *map(str, arguments)])


def said(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def label_studio(tmp_path: Path) -> Iterator[ProjectServer]:
    """With a picture on each of thirty tasks, of which the first two are annotated."""
    with serving(ProjectServer(CONFIG)) as site:
        site.add(*[STREET] * 30)
        for number in (1, 2):
            site.tasks[number]["annotations"] = [annotation(*two_objects())]
        site.files[STREET] = (save(tmp_path / "site") / "street.png").read_bytes()
        yield site


def test_export_says_what_is_written_and_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(annotation(*two_objects())), task(number=6))
    (tmp_path / "config.xml").write_text(CONFIG)
    result = export(path, tmp_path / "out", "--format", "coco", "--label-config", tmp_path / "config.xml")
    assert result.exit_code == 0
    assert f"2 objects on 1 picture are in {tmp_path}/out/." in said(result)
    assert "1 │ tasks without a submitted annotation" in said(result)
    assert len(readers.coco(tmp_path / "out" / "annotations.json")["street.png"]) == 2


def test_a_project_is_exported_with_its_pictures_straight_from_label_studio(
    tmp_path: Path, label_studio: ProjectServer
) -> None:
    result = export(
        tmp_path / "out", "--project", PROJECT, "--format", "coco", "--images", url=label_studio.url
    )
    assert (result.exit_code, result.exception) == (0, None)
    found = readers.coco(tmp_path / "out" / "annotations.json")
    assert {name: [one.label for one in seen] for name, seen in found.items()} == {
        "street.png": ["Car", "Van"],
        "street-2.png": ["Car", "Van"],
    }
    for name in found:
        assert (tmp_path / "out" / "images" / name).read_bytes() == label_studio.files[STREET]
    assert "What is missing" not in result.output


def test_videos_are_exported_by_the_same_command(tmp_path: Path) -> None:
    ring = clips.track(clips.two_objects()[:, 0])
    path = clips.write(tmp_path / "export.json", clips.task(clips.annotation([ring])))
    for form in ("davis", "coco"):
        result = export(path, tmp_path / form, "--format", form)
        assert result.exit_code == 0
        assert f"12 masks on 12 frames of 1 clip are in {tmp_path}/{form}/." in said(result)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("clip.json", "out", "--format", "yolo"), "are videos, and yolo is a format of pictures"),
        (("pictures.json", "out", "--format", "davis"), "are pictures, and davis is a format of videos"),
        (("clip.json", "out", "--format", "coco", "--val", "0.2"), "--val and --images are for pictures"),
        (("pictures.json", "out", "--format", "coco", "--media", "nowhere"), "isn't a folder"),
        (("pictures.json", "out", "--format", "coco", "--label-config", "nowhere"), "can't be read"),
        (("pictures.json", ".", "--format", "coco"), "isn't an empty folder"),
    ],
)
def test_what_can_not_be_exported_so_is_refused_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pictures.json", task(annotation(*two_objects())))
    ring = clips.track(clips.two_objects()[:, 0])
    clips.write(tmp_path / "clip.json", clips.task(clips.annotation([ring])))
    result = export(*arguments)
    assert isinstance(result.exception, RequestError)
    assert sentence in result.exception.detail


def test_a_file_or_a_project_has_to_be_named(tmp_path: Path) -> None:
    result = export(tmp_path / "out", "--format", "coco")
    assert result.exit_code == 2
    assert "Give EXPORT and OUT" in result.output


def test_export_fails_only_where_nothing_could_be_written(tmp_path: Path) -> None:
    path = write(tmp_path / "export.json", task(number=6))
    result = export(path, tmp_path / "out", "--format", "coco")
    assert isinstance(result.exception, NothingWrittenError)
    assert "tasks without a submitted annotation" in result.output
    assert list((tmp_path / "out").iterdir()) == []
