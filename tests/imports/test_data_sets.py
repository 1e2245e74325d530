"""Data sets that come in, and go out again as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.errors import LabelConfigError, LabelStudioError, RequestError
from label_studio_sam2.geometry import iou, rotated_corners
from label_studio_sam2.types import Box
from typer.testing import CliRunner, Result

from tests.fakes import readers
from tests.fakes.annotated import SIZE, block, ring_and_dot
from tests.fakes.data_sets import coco, rle, uncompressed, yolo
from tests.fakes.importing_server import ImportingServer
from tests.fakes.project_server import PROJECT
from tests.fakes.servers import LEGACY, serving

TAGS = ("BrushLabels", "BitmaskLabels", "PolygonLabels", "RectangleLabels")


def config(*tags: str) -> str:
    labels = '<Label value="Car"/><Label value="Van"/>'
    drawn = "".join(
        f'<{tag} name="{tag.lower()}" toName="image" smart="false">{labels}</{tag}>' for tag in tags
    )
    return f'<View><Image name="image" value="$image"/>{drawn}</View>'


@pytest.fixture
def label_studio() -> Iterator[ImportingServer]:
    with serving(ImportingServer(config(*TAGS))) as site:
        yield site


def command(site: ImportingServer | None, *arguments: str | Path) -> Result:
    env = {
        "COLUMNS": "200",
        "LABEL_STUDIO_URL": site.url if site else "",
        "LABEL_STUDIO_API_KEY": LEGACY if site else "",
    }
    return CliRunner(env=env).invoke(app, list(map(str, arguments)))


def bring_in(site: ImportingServer, data: Path, *options: str | Path, code: int = 0) -> str:
    result = command(site, "import", data, "--project", str(PROJECT), *options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return " ".join(result.output.split())


def stored(site: ImportingServer, kind: str = "annotations") -> list[list[dict[str, Any]]]:
    """The regions of each task, of all its annotations or predictions together."""
    return [[region for one in task[kind] for region in one["result"]] for task in site.tasks.values()]


@pytest.mark.parametrize("tag", ["BrushLabels", "BitmaskLabels"])
def test_a_coco_data_set_comes_out_as_it_went_in(tmp_path: Path, tag: str) -> None:
    crowd = {"category_id": 3, "iscrowd": 1, "segmentation": uncompressed(block(0, 50, 80, 60))}
    path = coco(tmp_path / "in", rle(ring_and_dot()), rle(block(4, 40, 30, 48), 3), crowd)
    with serving(ImportingServer(config(tag))) as site:
        said = bring_in(site, path, "--as", "annotations")
        assert "3 objects on 2 tasks stored as annotations of project 7, 2 new tasks." in said
        out = tmp_path / "out"
        result = command(site, "export", out, "--project", str(PROJECT), "--format", "coco", "--images")
        assert result.exit_code == 0
    before, after = readers.coco(path), readers.coco(out / "annotations.json")
    assert list(after) == ["a.png", "b.png"]
    assert [(one.label, one.crowd) for one in after["a.png"]] == [
        ("Car", False),
        ("Van", False),
        ("Van", True),
    ]
    for one, other in zip(before["a.png"], after["a.png"], strict=True):
        assert iou(np.asarray(one.bitmap), np.asarray(other.bitmap)) == 1.0
    for name in after:
        assert (out / "images" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_polygons_keep_their_corners_and_their_parts_stay_one_object(tmp_path: Path) -> None:
    rings = [[1.5, 2, 30.25, 2, 30, 20], [40, 5, 60, 5, 60, 30, 40, 30]]
    path = coco(tmp_path / "in", {"category_id": 1, "segmentation": rings})
    with serving(ImportingServer(config("PolygonLabels"))) as site:
        bring_in(site, path, "--as", "annotations")
        command(site, "export", tmp_path / "out", "--project", str(PROJECT), "--format", "coco-polygons")
    (one,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert [pytest.approx(ring) for ring in rings] == one["segmentation"]


def test_masks_of_polygons_are_those_of_cocos_own_tools_but_for_their_edges(
    tmp_path: Path, label_studio: ImportingServer
) -> None:
    path = coco(tmp_path, {"category_id": 1, "segmentation": [[5, 5, 70, 9, 60, 50, 8, 44]]})
    with serving(ImportingServer(config("BrushLabels"))) as site:
        bring_in(site, path, "--as", "annotations")
        command(site, "export", tmp_path / "out", "--project", str(PROJECT), "--format", "coco")
    (theirs,), (ours,) = (
        readers.coco(path)["a.png"],
        readers.coco(tmp_path / "out" / "annotations.json")["a.png"],
    )
    assert iou(np.asarray(theirs.bitmap), np.asarray(ours.bitmap)) > 0.97


@pytest.mark.parametrize("kind", ["annotations", "predictions"])
def test_done_again_or_taken_up_again_nothing_is_there_twice(
    tmp_path: Path, label_studio: ImportingServer, kind: str
) -> None:
    path = coco(tmp_path, rle(ring_and_dot()), images=("a.png", "b.png", "c.png"))
    for writes in (1, 4, 100):
        label_studio.fails_after, label_studio.writes = writes, 0
        try:
            bring_in(label_studio, path, "--as", kind)
        except LabelStudioError:
            assert writes < 100
    whole = stored(label_studio, kind)
    assert [len(regions) for regions in whole] == [1, 0, 0]
    assert len(label_studio.tasks) == 3
    label_studio.writes = 0
    said = bring_in(label_studio, path, "--as", kind)
    assert "0 objects on 0 tasks" in said
    assert label_studio.writes == 0
    assert stored(label_studio, kind) == whole


def test_what_annotators_did_meanwhile_stays(tmp_path: Path, label_studio: ImportingServer) -> None:
    path = coco(tmp_path, rle(ring_and_dot()), images=("a.png",))
    bring_in(label_studio, path, "--as", "annotations")
    moved = label_studio.tasks[1]["annotations"][0]
    moved["result"][0]["value"]["brushlabels"] = ["Van"]
    bring_in(label_studio, path, "--as", "annotations")
    assert label_studio.tasks[1]["annotations"] == [moved]


def test_pictures_of_one_name_in_several_folders_are_told_apart(
    tmp_path: Path, label_studio: ImportingServer
) -> None:
    path = coco(tmp_path, rle(ring_and_dot()), images=("one/a.png", "two/a.png"))
    bring_in(label_studio, path, "--as", "annotations")
    names = [task["data"]["image"].partition("-")[2] for task in label_studio.tasks.values()]
    assert names == ["one-a.png", "two-a.png"]
    assert [len(regions) for regions in stored(label_studio)] == [1, 0]


def test_with_a_url_nothing_is_uploaded(tmp_path: Path, label_studio: ImportingServer) -> None:
    path = coco(tmp_path, rle(ring_and_dot()), images=("one/a b.png", "c.png"))
    bring_in(label_studio, path, "--url", "s3://bucket/")
    assert [task["data"]["image"] for task in label_studio.tasks.values()] == [
        "s3://bucket/one/a%20b.png",
        "s3://bucket/c.png",
    ]
    assert label_studio.files == {}
    (prediction,) = label_studio.predictions(1)
    assert prediction["model_version"] == f"imported from {tmp_path.name}"


@pytest.mark.parametrize(("form", "options"), [("yolo", ()), ("yolo-box", ()), ("yolo-obb", ("--obb",))])
def test_a_yolo_data_set_comes_out_as_it_went_in(tmp_path: Path, form: str, options: tuple[str, ...]) -> None:
    turned = (rotated_corners(Box(30, 10, 60, 22), 25) / (SIZE.width, SIZE.height)).reshape(-1)
    lines = {
        "yolo": [
            "1 0.100000 0.100000 0.500000 0.125000 0.300000 0.700000",
            "0 0.6 0.6 0.9 0.6 0.9 0.9 0.6 0.9",
        ],
        "yolo-box": ["1 0.500000 0.500000 0.250000 0.400000", "0 0.1 0.1 0.1 0.1"],
        "yolo-obb": ["1 " + " ".join(f"{one:.6f}" for one in turned), "0 0.6 0.6 0.9 0.6 0.9 0.9 0.6 0.9"],
    }[form]
    (tmp_path / "in").mkdir()
    with serving(ImportingServer(config(*TAGS))) as site:
        bring_in(site, yolo(tmp_path / "in", *lines), "--as", "annotations", *options)
        result = command(
            site, "export", tmp_path / "out", "--project", str(PROJECT), "--format", form, "--images"
        )
        assert result.exit_code == 0
    written = (tmp_path / "out" / "labels" / "train" / "street.txt").read_text().splitlines()
    names = {"0": "1", "1": "0"}  # the labeling config has them the other way round
    for before, after in zip(lines, written, strict=True):
        assert names[before.split()[0]] == after.split()[0]
        assert list(map(float, after.split()[1:])) == pytest.approx(
            list(map(float, before.split()[1:])), abs=1e-5
        )


def test_lines_and_objects_that_can_not_be_read_are_said_and_the_others_come_in(
    tmp_path: Path, label_studio: ImportingServer
) -> None:
    (tmp_path / "in").mkdir()
    data = yolo(tmp_path / "in", "1 0.5 0.5 0.2 0.2", "9 0.5 0.5 0.2 0.2", "1 nan 0 0 0", "0 0.5", "")
    said = bring_in(label_studio, data, "--as", "annotations", code=1)
    assert "1 object on 1 task stored" in said
    assert "3 │ lines that can't be read" in said
    damaged = {"category_id": 1, "segmentation": {"size": list(SIZE), "counts": "nonsense"}}
    path = coco(tmp_path / "coco", rle(ring_and_dot()), damaged, {"category_id": 5})
    (tmp_path / "coco" / "b.png").unlink()
    said = bring_in(label_studio, path, "--as", "annotations", code=1)
    assert "1 object on 1 task stored" in said
    assert "2 │ objects that can't be read" in said
    assert "1 │ pictures whose file isn't there" in said


def test_labels_that_the_project_lacks_are_named_with_the_command_that_adds_them(tmp_path: Path) -> None:
    path = coco(tmp_path, rle(ring_and_dot()), rle(ring_and_dot(), 3))
    with (
        serving(ImportingServer(config("BrushLabels").replace("Van", "Bus"))) as site,
        pytest.raises(LabelConfigError, match='connect --project 7 --label "Van"'),
    ):
        bring_in(site, path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "can't be read as COCO"),
        ('{"images": []}', "can't be read as COCO"),
        ("{", "can't be read as COCO"),
    ],
)
def test_what_is_no_data_set_is_refused(
    tmp_path: Path, label_studio: ImportingServer, content: str, sentence: str
) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RequestError, match=sentence):
        bring_in(label_studio, tmp_path / "a.json")
