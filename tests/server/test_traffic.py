"""Every request that Label Studio 1.23.2 was recorded to send, replayed against the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap

from tests.fakes.asking import mask_of
from tests.fakes.detectors import with_words
from tests.fakes.servers import Exchange, Site, serving
from tests.fakes.settings import settings

TRAFFIC = Path(__file__).parents[1] / "traffic"


def recorded(name: str) -> list[dict[str, Any]]:
    """The requests of one recording."""
    content: list[dict[str, Any]] = json.loads((TRAFFIC / f"{name}.json").read_text())
    return content


def reaching_us() -> list[tuple[str, int]]:
    files = sorted(path.stem for path in TRAFFIC.glob("*.json"))
    loaded = {name: recorded(name) for name in files}
    return [
        (name, number)
        for name, content in loaded.items()
        if isinstance(content, list)
        for number, one in enumerate(content)
        if "method" in one
    ]


def drawn() -> tuple[np.ndarray[Any, Any], Bitmap]:
    """The picture that was annotated in the recordings: three plain shapes; and the ellipse's mask."""
    picture = np.full((600, 800, 3), (235, 232, 220), np.uint8)
    ellipse = np.zeros((600, 800), np.uint8)
    cv2.ellipse(ellipse, (280, 240), (100, 90), 0, 0, 360, 1, -1)
    picture[ellipse > 0] = (200, 60, 50)
    cv2.rectangle(picture, (480, 300), (680, 480), (50, 110, 190), -1)
    cv2.fillPoly(picture, [np.array([(120, 520), (220, 400), (300, 540)])], (60, 150, 80))
    return cv2.GaussianBlur(picture, (0, 0), 1), ellipse > 0


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A service beside a Label Studio that has the recorded tasks' picture."""
    png = cv2.imencode(".png", cv2.cvtColor(drawn()[0], cv2.COLOR_RGB2BGR))[1].tobytes()

    def reply(exchange: Exchange) -> None:
        exchange.reply(200, png, {"Content-Type": "image/png"})

    with (
        serving(Site(reply)) as label_studio,
        with_words(settings(label_studio_url=label_studio.url)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def replay(client: httpx.Client, one: dict[str, Any]) -> httpx.Response:
    return client.request(one["method"], one["path"], json=one["body"])


@pytest.mark.parametrize(("name", "number"), [row for row in reaching_us() if "video" not in row[0]])
def test_a_recorded_request_is_answered_as_the_protocol_asks(
    name: str, number: int, client: httpx.Client
) -> None:
    one = recorded(name)[number]
    answer = replay(client, one)
    assert answer.is_success, answer.text
    route = one["path"].rpartition("/")[2]
    SHAPES[route](one["body"], answer.json())


def predicted(asked: dict[str, Any], answered: dict[str, Any]) -> None:
    results = answered["results"]
    assert len(results) == len(asked["tasks"])
    if asked["params"]["context"] is None:
        assert results == [[]] * len(results)
        return
    (entry,) = results
    assert entry["model_version"]
    assert entry["result"] or not asked["params"]["context"]["result"]
    for region in (one for one in entry["result"] if one["type"] != "textarea"):
        assert region["to_name"] in asked["label_config"]
        assert f'name="{region["from_name"]}"' in asked["label_config"]
        assert (region["original_width"], region["original_height"]) == (800, 600)
        assert isinstance(region["id"], str)


def up(_asked: object, answered: dict[str, Any]) -> None:
    assert answered["status"] == "UP"


def versioned(_asked: object, answered: dict[str, Any]) -> None:
    assert answered["model_version"]


def listed(_asked: object, answered: dict[str, Any]) -> None:
    assert all(isinstance(version, str) for version in answered["versions"])


def taken(asked: dict[str, Any], answered: dict[str, Any]) -> None:
    assert answered["action"] == asked["action"]
    assert ("job" in answered) == (asked["action"] == "START_TRAINING")


SHAPES = {"predict": predicted, "health": up, "setup": versioned, "versions": listed, "webhook": taken}


@pytest.mark.parametrize(
    "name", ["ui_keypoint_positive_1", "ui_sep_brush_only_request", "ui_sep_bitmask_only_request"]
)
def test_a_recorded_click_finds_the_shape_that_was_clicked(name: str, client: httpx.Client) -> None:
    regions = replay(client, recorded(name)[0]).json()["results"][0]["result"]
    brush = next(region for region in regions if "rle" in region["value"])
    assert iou(mask_of(brush), drawn()[1]) > 0.7


def test_a_separated_config_is_answered_with_two_items_of_one_id(client: httpx.Client) -> None:
    regions = replay(client, recorded("ui_sep_brush_only_request")[0]).json()["results"][0]["result"]
    pairs = {
        region["id"]: [one["type"] for one in regions if one["id"] == region["id"]] for region in regions
    }
    assert ["brush", "labels"] in pairs.values()
    assert ["bitmask", "labels"] in pairs.values()


def test_recorded_media_addresses_are_fetched_or_refused_by_name(client: httpx.Client) -> None:
    asked = recorded("ui_keypoint_positive_1")[0]["body"]
    statuses = {}
    for task in recorded("predict_media_urls"):
        answer = client.post("/predict", json=asked | {"tasks": [task]})
        statuses[task["data"]["image"].partition(":")[0][:12]] = answer.status_code
    assert statuses == {"/data/upload": 200, "http": 200, "s3": 200, "https": 502, "gs": 200, "data": 502}


def test_words_find_what_they_name_and_come_back_with_the_label_that_they_mean(client: httpx.Client) -> None:
    answer = replay(client, recorded("ui_textarea_prompt")[0]).json()
    *found, written = answer["results"][0]["result"]
    ellipse = drawn()[1]
    assert [region["value"]["brushlabels"] for region in found] == [["Car"], []]
    assert iou(mask_of(found[0]), ellipse) > 0.8
    asked = recorded("ui_textarea_prompt")[0]["body"]["params"]["context"]["result"][0]
    assert written == {key: value for key, value in asked.items() if key != "origin"}
    assert '"blue truck" names none of the labels' in client.get("/").json()["problems"]["2"]["detail"]


def test_all_that_was_added_to_the_field_is_asked_for(client: httpx.Client) -> None:
    answer = replay(client, recorded("ui_textarea_accumulated")[0]).json()
    *found, written = answer["results"][0]["result"]
    assert iou(mask_of(found[0]), drawn()[1]) > 0.8
    assert found[0]["value"]["brushlabels"] == ["Car"]
    assert written["value"] == {"text": ["red car", "two words"]}
