"""Nobody typed: a project's labels are the words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from label_studio_sam2.commands import predict, warm
from label_studio_sam2.commands.service import Refused
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions import words
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from tests.clicks.test_words import painted
from tests.fakes.asking import Region, batch, data_url, mask_of, results_of, task
from tests.fakes.detectors import ColourDetector, with_words
from tests.fakes.networks import demo_model
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings

LABELS = '<Label value="Red"/><Label value="Sea" predicted_values="blue, green"/>'
CONFIG = f"""<View><Image name="image" value="$image"/><TextArea name="prompt" toName="image"/>
  <BrushLabels name="brush" toName="image" smart="false" model_find="true">{LABELS}</BrushLabels></View>"""
WITHOUT = CONFIG.replace(' model_find="true"', "")
WRITTEN = {"text": ["Red\nSea: blue, green"]}


def pictures() -> list[Any]:
    return [
        data_url(painted(red=(80, 80), **more)[0])
        for more in ({"blue": (300, 80)}, {"green": (300, 220)}, {})
    ]


def split(result: list[Region]) -> tuple[list[str], list[Region]]:
    """The labels of what was drawn, and the items of text fields."""
    drawn = [region["value"]["brushlabels"] for region in result if region["type"] == "brushlabels"]
    return sorted(label for (label,) in drawn), [one for one in result if one["type"] == "textarea"]


@pytest.fixture
def detector() -> ColourDetector:
    return ColourDetector()


@pytest.fixture
def label_studio() -> Iterator[ProjectServer]:
    with serving(ProjectServer(WITHOUT)) as server:
        server.add(*pictures())
        yield server


@pytest.fixture
def address(label_studio: ProjectServer, detector: ColourDetector) -> Iterator[str]:
    key = SecretStr(LEGACY)
    with with_words(
        settings(label_studio_url=label_studio.url, label_studio_api_key=key), detector
    ) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        yield client


def test_a_batch_is_labelled_with_the_projects_labels_and_the_words_come_along(client: httpx.Client) -> None:
    tasks = [task(number, picture) for number, picture in enumerate(pictures(), start=1)]
    results = results_of(client.post("/predict", json=batch(tasks, CONFIG)))
    found = [split(result) for result in results]
    assert [labels for labels, _ in found] == [["Red", "Sea"], ["Red", "Sea"], ["Red"]]
    assert [[item["value"] for item in items] for _, items in found] == [[WRITTEN]] * 3
    config = labeling_config.parse(CONFIG)
    assert words.parse(WRITTEN["text"], config, "image") == words.of_labels(config, "image")
    (red,) = (one for one in results[2] if one["type"] == "brushlabels")
    assert iou(mask_of(red), painted(red=(80, 80))[1]["red"]) > 0.8


def test_without_the_option_a_batch_asks_for_no_words(client: httpx.Client, detector: ColourDetector) -> None:
    tasks = [task(number, picture) for number, picture in enumerate(pictures(), start=1)]
    assert results_of(client.post("/predict", json=batch(tasks, WITHOUT))) == [[], [], []]
    assert detector.looked == 0


def test_a_whole_project_is_labelled_once_and_what_is_there_stays(
    address: str, label_studio: ProjectServer, detector: ColourDetector
) -> None:
    mine = {"id": 1, "model_version": demo_model().version, "result": []}
    label_studio.predictions(2).append(mine)
    for _ in range(2):
        assert predict.run(Settings(), PROJECT, address, find=True) == 0
    first, second, third = ([*label_studio.predictions(number)] for number in (1, 2, 3))
    assert second == [mine]
    assert [len(first), len(third)] == [1, 1]
    assert split(first[0]["result"])[0] == ["Red", "Sea"]
    assert split(third[0]["result"])[1][0]["value"] == WRITTEN
    assert detector.looked == 2


def test_words_from_the_command_line_are_looked_for_instead_of_the_labels(
    address: str, label_studio: ProjectServer
) -> None:
    assert predict.run(Settings(), PROJECT, address, words="Sea: red thing") == 0
    assert [split(label_studio.predictions(number)[0]["result"])[0] for number in (1, 2, 3)] == [["Sea"]] * 3


def test_warming_a_project_that_may_be_asked_for_words_looks_at_its_pictures_too(
    address: str, client: httpx.Client, label_studio: ProjectServer, detector: ColourDetector
) -> None:
    assert warm.run(Settings(), PROJECT, address) == 0
    assert detector.looked == 3
    assert warm.run(Settings(), PROJECT, address) == 0
    tasks = [task(number, picture) for number, picture in enumerate(pictures(), start=1)]
    assert all(results_of(client.post("/predict", json=batch(tasks, CONFIG))))
    assert detector.looked == 3


def around(label: str, place: tuple[int, int]) -> Region:
    """An accepted box around a disc."""
    (x, y), size = place, Size(300, 400)
    value = {
        "x": 100 * (x - 45) / size.width,
        "y": 100 * (y - 45) / size.height,
        "width": 9000 / size.width,
        "height": 9000 / size.height,
        "rectanglelabels": [label],
    }
    return {
        "id": f"{label}{place}",
        "type": "rectanglelabels",
        "from_name": "box",
        "to_name": "image",
        "value": value,
    }


def test_what_is_like_what_was_accepted_is_predicted_on_tasks_that_nobody_has_done(
    address: str, label_studio: ProjectServer
) -> None:
    done = {
        "id": 1,
        "result": [around("Sea", (80, 80)), around("Red", (300, 80))],
    }  # red is Sea here, and blue Red
    label_studio.tasks[1]["annotations"] = [done]
    skipped = {"id": 2, "was_cancelled": True, "result": [around("Red", (80, 80))]}
    label_studio.tasks[2]["annotations"] = [skipped]
    assert predict.run(Settings(), PROJECT, address, like=True) == 0
    assert label_studio.predictions(1) == []
    for number in (2, 3):
        (stored,) = label_studio.predictions(number)
        labels, texts = split(stored["result"])
        assert (labels, texts) == (["Sea"], [])
        assert 0.8 < stored["score"] <= 1


def test_where_nothing_is_accepted_nothing_can_be_like_it(address: str) -> None:
    with pytest.raises(Refused, match="Nothing with a label is accepted in project 7 yet"):
        predict.run(Settings(), PROJECT, address, like=True)
