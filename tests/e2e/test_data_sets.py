"""A data set goes into the real Label Studio, and comes out of it as it was, whichever way it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.geometry import iou
from typer.testing import CliRunner

from tests.e2e.label_studio import LEGACY_TOKEN, LabelStudio
from tests.fakes import readers
from tests.fakes.annotated import block, ring_and_dot
from tests.fakes.data_sets import coco, rle, uncompressed

LABELS = '<Label value="Van" category="3"/><Label value="Car" category="1"/>'
CONFIG = f"""<View><Image name="image" value="$image"/>
<KeyPointLabels name="click" toName="image" smart="true">{LABELS}</KeyPointLabels>
<{{tag}} name="result" toName="image" smart="false">{LABELS}</{{tag}}></View>"""


def run(site: LabelStudio, *arguments: str | Path) -> str:
    env = {"COLUMNS": "200", "LABEL_STUDIO_URL": site.url, "LABEL_STUDIO_API_KEY": LEGACY_TOKEN}
    result = CliRunner(env=env).invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return " ".join(result.output.split())


@pytest.mark.parametrize("tag", ["BrushLabels", "BitmaskLabels"])
def test_a_coco_data_set_comes_out_of_label_studio_as_it_went_in(
    label_studio: LabelStudio, tmp_path: Path, tag: str
) -> None:
    project = label_studio.create_project(f"COCO {tag}", CONFIG.format(tag=tag))
    crowd = {"category_id": 3, "iscrowd": 1, "segmentation": uncompressed(block(0, 50, 80, 60))}
    path = coco(tmp_path / "in", rle(ring_and_dot()), rle(block(4, 40, 30, 48), 3), crowd)
    for again in (False, True):
        said = run(label_studio, "import", path, "--project", str(project), "--as", "annotations")
        assert ("2 tasks had theirs already" in said) is again
    assert [len(label_studio.annotations(task["id"])) for task in label_studio.tasks(project)] == [1, 1]

    (tmp_path / "config.xml").write_text(CONFIG.format(tag=tag))
    sources: dict[str, tuple[str | Path, ...]] = {"project": ("--project", str(project), "--images")}
    for kind in ("JSON", "JSON_MIN"):
        (tmp_path / f"{kind}.json").write_text(json.dumps(label_studio.export(project, kind)))
        sources[kind] = ("--label-config", tmp_path / "config.xml")
    for name, options in sources.items():
        out = tmp_path / name
        given = () if name == "project" else (tmp_path / f"{name}.json",)
        run(label_studio, "export", *given, out, "--format", "coco", *options)
        before, after = readers.coco(path)["a.png"], readers.coco(out / "annotations.json")["a.png"]
        assert [one.label for one in after] == [one.label for one in before]
        # JSON_MIN has no notes, which tell a crowd.
        assert name == "JSON_MIN" or [one.crowd for one in after] == [one.crowd for one in before]
        for one, other in zip(before, after, strict=True):
            assert iou(np.asarray(one.bitmap), np.asarray(other.bitmap)) == 1.0
        whole = json.loads((out / "annotations.json").read_text())
        assert [(row["id"], row["name"]) for row in whole["categories"]] == [(1, "Car"), (3, "Van")]
    assert (tmp_path / "project" / "images" / "a.png").read_bytes() == (
        tmp_path / "in" / "a.png"
    ).read_bytes()


def test_predictions_and_parts_of_polygons_are_kept_by_label_studio(
    label_studio: LabelStudio, tmp_path: Path
) -> None:
    project = label_studio.create_project("Parts", CONFIG.format(tag="PolygonLabels"))
    rings = [[1.5, 2, 30.25, 2, 30, 20], [40, 5, 60, 5, 60, 30, 40, 30]]
    path = coco(tmp_path / "in", {"category_id": 1, "segmentation": rings}, images=("a.png",))
    for _ in range(2):
        run(label_studio, "import", path, "--project", str(project))
    (task,) = label_studio.tasks(project)
    (prediction,) = task["predictions"]
    label_studio.annotate(task["id"], prediction["result"])
    run(label_studio, "export", tmp_path / "out", "--project", str(project), "--format", "coco-polygons")
    (one,) = json.loads((tmp_path / "out" / "annotations.json").read_text())["annotations"]
    assert [pytest.approx(ring) for ring in rings] == one["segmentation"]
