from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from label_studio_sam2.cli import app
from label_studio_sam2.commands.service import Refused
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.errors import NotReady, UnknownVersion
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size
from typer.testing import CliRunner, Result

from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, data_url, mask_of, regions_of
from tests.fakes.networks import demo_model
from tests.fakes.settings import settings
from tests.fakes.tuned_versions import saved

BASE = demo_model().version
PICTURE = data_url(draw_scene(5, width=160, height=120).image)
SIZE = Size(120, 160)


def versions(folder: Path, *arguments: str | int) -> Result:
    """`label-studio-sam2 versions … --offline` with this MODEL_CACHE."""
    environment = {"MODEL_CACHE": str(folder), "COLUMNS": "80"}
    return CliRunner().invoke(app, ["versions", *map(str, arguments), "--offline"], env=environment)


def asked(client: httpx.Client, *arguments: str | int) -> Result:
    """`label-studio-sam2 versions …` of a running service, with another MODEL_CACHE in this shell."""
    given = ["versions", *map(str, arguments), "--service", str(client.base_url)]
    return CliRunner().invoke(app, given, env={"MODEL_CACHE": "elsewhere", "COLUMNS": "80"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two versions of project 7 and one of project 8, none of them in use."""
    kept = Versions(tmp_path / "versions")
    for project, value in ((7, 1.0), (7, 2.0), (8, 3.0)):
        saved(kept, project, value, masks=40)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[httpx.Client]:
    """Of a service that runs meanwhile."""
    with (
        running(settings(model_cache=folder)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def answered_by(client: httpx.Client, project: int) -> str:
    asked = body(PICTURE, [click(80, 60, SIZE)], project=f"{project}.1")
    answer = client.post("/predict", json=asked)
    assert mask_of(regions_of(answer)[0]).shape == SIZE
    return str(answer.json()["results"][0]["model_version"])


def test_the_next_click_of_a_running_service_is_answered_by_what_is_chosen(
    folder: Path, client: httpx.Client
) -> None:
    one, two = (f"{BASE}+{version.name}" for version in Versions(folder / "versions").all(7))
    assert answered_by(client, 7) == BASE
    for arguments, said, version in (
        (("use", 7, 1), "answered by version 1", one),
        (("use", 7, 2), "answered by version 2", two),
        (("rollback", 7), "answered by version 1", one),
        (("use", 7, 0), "answered by the base model", BASE),
        (("rollback", 7), "answered by version 1", one),
        (("rollback", 7), "answered by the base model", BASE),
    ):
        done = asked(client, *arguments)
        assert (done.exit_code, said in done.output) == (0, True), done.output
        assert answered_by(client, 7) == version
        assert answered_by(client, 8) == BASE
    assert client.get("/").json()["cache"]["encoded"] == 1  # one picture, whoever decodes it


def test_a_choice_without_the_service_is_seen_by_the_one_that_runs(
    folder: Path, client: httpx.Client
) -> None:
    versions(folder, "use", 7, 2)
    assert answered_by(client, 7) == f"{BASE}+{Versions(folder / 'versions').get(7, 2).name}"
    assert "Project 7, version 2, in use" in asked(client, "list").output


def test_the_list_shows_in_80_columns_what_there_is_what_is_in_use_and_why(folder: Path) -> None:
    versions(folder, "use", 7, 2)
    everything = versions(folder, "list").output.splitlines()
    assert [line for line in everything if line.startswith("Project")] == [
        f"Project 7, version 1 ({BASE})",
        f"Project 7, version 2, in use ({BASE})",
        f"Project 8, version 1 ({BASE})",
    ]
    assert len(everything) == 9
    assert max(map(len, everything)) < 80
    assert "40 masks, tuned 20" in everything[1]
    assert len(versions(folder, "list", "--project", 8).output.splitlines()) == 3


def test_the_list_as_json_is_the_same_from_the_service_and_from_the_folder(
    folder: Path, client: httpx.Client
) -> None:
    asked(client, "use", 7, 2)
    found = json.loads(asked(client, "list", "--json").stdout)
    assert [(one["project"], one["number"]) for one in found["tuned"]] == [(7, 1), (7, 2), (8, 1)]
    assert found["in_use"] == {"7": 2, "8": None}
    assert json.loads(versions(folder, "list", "--json").stdout) == found
    assert json.loads(asked(client, "list", "--json", "--project", 8).stdout)["in_use"] == {"8": None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("use", 7, 3), "Project 7 has no version 3"), (("rollback", 7), "never used anything else")],
)
def test_what_the_service_hasnt_is_refused_in_its_words(
    client: httpx.Client, arguments: tuple[str | int, ...], said: str
) -> None:
    done = asked(client, *arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, Refused)
    assert said in done.exception.detail


@pytest.mark.parametrize("use", [-1, "next", None, 1.5, True])
def test_a_choice_that_is_none_is_malformed(client: httpx.Client, use: object) -> None:
    answer = client.post("/versions", json={"project": 7, "use": use})
    assert answer.is_client_error
    assert answer.json()["detail"]


def test_without_a_service_the_folder_is_not_taken_for_it(folder: Path) -> None:
    done = CliRunner().invoke(
        app, ["versions", "list", "--service", "http://127.0.0.1:1"], env={"MODEL_CACHE": str(folder)}
    )
    assert isinstance(done.exception, NotReady)


def test_an_empty_list_says_so(tmp_path: Path) -> None:
    assert "No project has been tuned yet" in versions(tmp_path, "list").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("use", 7, 3), "Project 7 has no version 3"),
        (("use", 9, 1), "Project 9 has no version 1"),
        (("rollback", 7), "never used anything else"),
    ],
)
def test_what_there_isnt_is_refused_by_name_and_changes_nothing(
    arguments: tuple[str | int, ...], said: str, folder: Path
) -> None:
    done = versions(folder, *arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, UnknownVersion)
    assert said in done.exception.detail
    assert Versions(folder / "versions").active(7) is None


def test_a_damaged_version_is_answered_by_the_base_with_one_warning(
    folder: Path, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    versions(folder, "use", 7, 1)
    path = folder / "versions" / "project-7" / "v1.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        assert [answered_by(client, 7) for _ in range(3)] == [BASE] * 3
    (warning,) = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    assert "Version 1 of project 7" in warning
