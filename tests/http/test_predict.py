from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.http.asking import CONFIG, Region, body, box, click, data_url, inside, mask_of, regions_of

SIZE = Size(480, 640)
TRAFFIC = Path(__file__).parents[1] / "traffic"


def scene(seed: int = 3) -> Any:
    return draw_scene(seed, width=SIZE.width, height=SIZE.height)


def largest(drawn: Any) -> Any:
    return max(drawn.masks, key=lambda mask: int(mask.sum()))


def test_a_click_on_an_object_gives_its_mask(client: httpx.Client) -> None:
    drawn = scene()
    truth = largest(drawn)
    (region,) = regions_of(
        client.post("/predict", json=body(data_url(drawn.image), [click(*inside(truth), SIZE)]))
    )
    assert region["type"] == "brushlabels"
    assert region["value"]["brushlabels"] == ["Car"]
    assert iou(mask_of(region), truth) > 0.7


def test_each_box_of_one_label_is_an_object_of_its_own(client: httpx.Client) -> None:
    drawn = scene()
    boxes = []
    for mask in drawn.masks[:2]:
        ys, xs = np.nonzero(mask)
        boxes.append(box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, SIZE))
    found = regions_of(client.post("/predict", json=body(data_url(drawn.image), boxes)))
    assert [iou(mask_of(region), mask) > 0.7 for region, mask in zip(found, drawn.masks, strict=False)] == [
        True,
        True,
    ]


def test_a_negative_click_takes_away_what_it_is_on(client: httpx.Client) -> None:
    drawn = scene()
    first = click(*inside(largest(drawn)), SIZE)
    (before,) = regions_of(client.post("/predict", json=body(data_url(drawn.image), [first])))
    spot = (mask_of(before).nonzero()[1][0], mask_of(before).nonzero()[0][0])
    negative = click(*(int(value) for value in spot), SIZE, positive=False)
    after = regions_of(client.post("/predict", json=body(data_url(drawn.image), [first, negative])))
    assert not after or not np.array_equal(mask_of(after[0]), mask_of(before))


@pytest.mark.slow
def test_a_thousand_interleaved_clicks_each_give_what_they_give_alone(client: httpx.Client) -> None:
    """Several pictures, several threads, prompts that extend one another: bit for bit. Each is a task of its own, for
    a newer click of the same annotator may take an older one's place."""
    size = Size(120, 160)
    pictures = [data_url(draw_scene(seed, width=size.width, height=size.height).image) for seed in range(4)]
    random = Random(0)
    asked = [
        body(picture, clicks[:many])
        for picture, clicks in zip(
            cycle(pictures), (three_clicks(size, random) for _ in range(40)), strict=False
        )
        for many in (1, 2, 3)
    ]
    alone = [client.post("/predict", json=one).content for one in asked]
    order = list(islice(cycle(range(len(asked))), 1000))
    random.shuffle(order)

    def ask(turn: int) -> bytes:
        picture = asked[order[turn]]["tasks"][0]["data"]
        return client.post(
            "/predict", json=asked[order[turn]] | {"tasks": [{"id": turn, "data": picture}]}
        ).content

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(ask, range(len(order))))
    assert [index for index, answer in zip(order, together, strict=True) if answer != alone[index]] == []


def three_clicks(size: Size, random: Random) -> list[Region]:
    places = [(random.uniform(0, size.width), random.uniform(0, size.height)) for _ in range(3)]
    return [click(x, y, size, positive=number != 1) for number, (x, y) in enumerate(places)]


@pytest.mark.parametrize("event", ["capabilities", "prewarm", "track", "no such event"])
def test_an_event_of_the_coming_editor_gets_an_empty_result(event: str, client: httpx.Client) -> None:
    asked = body("x", []) | {"params": {"context": {"event": event}}}
    assert regions_of(client.post("/predict", json=asked)) == []


def test_a_context_without_prompts_gets_an_empty_result(client: httpx.Client) -> None:
    assert regions_of(client.post("/predict", json=body(data_url(scene().image), []))) == []


def test_opening_a_task_stores_nothing_and_warms_its_picture(client: httpx.Client) -> None:
    drawn = draw_scene(77, width=SIZE.width, height=SIZE.height)
    opened = client.post("/predict", json=body(data_url(drawn.image), None))
    assert opened.json() == {"results": [[]]}
    encoded = {job["title"] for job in client.get("/jobs").json()["jobs"] if job["kind"] == "warm"}
    assert "Task 1" in encoded


def test_a_batch_has_an_entry_for_each_task(client: httpx.Client) -> None:
    asked = body("x", None)
    asked["tasks"] = [{"id": number, "data": {}} for number in range(5)]
    assert client.post("/predict", json=asked).json() == {"results": [[]] * 5}


REJECTED: list[tuple[str, dict[str, Any], int, str]] = [
    ("a null label config", {"label_config": None}, 400, "no labeling config"),
    ("a label config that is no XML", {"label_config": "<View"}, 400, "not valid XML"),
    (
        "a label config without output",
        {"label_config": "<View><Image name='image' value='$image'/></View>"},
        400,
        "BrushLabels",
    ),
    ("tasks that are no list", {"tasks": "x"}, 422, "tasks"),
    ("a task without the picture's key", {"tasks": [{"id": 1, "data": {}}]}, 400, '"image"'),
    ("a local path", {"tasks": [{"id": 1, "data": {"image": "file:///etc/passwd"}}]}, 502, "file"),
    (
        "a link-local address",
        {"tasks": [{"id": 1, "data": {"image": "http://169.254.169.254/latest"}}]},
        502,
        "MEDIA_ALLOWED_HOSTS",
    ),
    (
        "a path on Label Studio without its address",
        {"tasks": [{"id": 1, "data": {"image": "/data/upload/1/x.png"}}]},
        502,
        "LABEL_STUDIO_URL",
    ),
    (
        "text called a picture",
        {"tasks": [{"id": 1, "data": {"image": "data:image/png;base64,aGVsbG8="}}]},
        502,
        "picture",
    ),
    ("an empty picture", {"tasks": [{"id": 1, "data": {"image": "data:image/png;base64,"}}]}, 502, "empty"),
]


@pytest.mark.parametrize(("what", "change", "status", "named"), REJECTED, ids=[row[0] for row in REJECTED])
def test_a_wrong_request_is_refused_with_what_to_change(
    what: str, change: dict[str, Any], status: int, named: str, client: httpx.Client
) -> None:
    answer = client.post("/predict", json=body("data:,", [click(5, 5, SIZE)]) | change)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail", "error"}
    assert named in answer.json()["detail"]


def test_a_prompt_outside_of_the_picture_is_refused_by_its_region(client: httpx.Client) -> None:
    outside = click(2000, 50, SIZE, name="far-out")
    answer = client.post("/predict", json=body(data_url(scene().image), [outside]))
    assert (answer.status_code, answer.json()["error"]) == (400, "PromptError")
    assert "far-out" in answer.json()["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(content: bytes, client: httpx.Client) -> None:
    assert client.post("/predict", content=content).status_code == 400


def test_drafts_of_a_megabyte_change_nothing(client: httpx.Client) -> None:
    drawn = scene()
    asked = body(data_url(drawn.image), [click(*inside(largest(drawn)), SIZE)])
    light = client.post("/predict", json=asked)
    asked["tasks"][0]["drafts"] = [{"result": [{"value": {"rle": list(range(256)) * 1500}}]}]
    assert client.post("/predict", json=asked).content == light.content


def test_what_went_wrong_is_kept_for_the_project_until_it_works_again(client: httpx.Client) -> None:
    drawn = scene()
    asked = body("file:///etc/passwd", [click(*inside(largest(drawn)), SIZE)], project="4711.1")
    client.post("/predict", json=asked)
    assert client.get("/").json()["problems"]["4711"]["error"] == "MediaRefused"
    asked["tasks"][0]["data"]["image"] = data_url(drawn.image)
    regions_of(client.post("/predict", json=asked))
    assert "4711" not in client.get("/").json()["problems"]


def test_a_score_threshold_hides_masks_that_the_model_doubts(client: httpx.Client) -> None:
    strict = CONFIG.replace('name="brush"', 'name="brush" model_score_threshold="1.0"')
    drawn = scene()
    asked = body(data_url(drawn.image), [click(*inside(largest(drawn)), SIZE)], strict)
    assert regions_of(client.post("/predict", json=asked)) == []


def test_candidates_of_an_ambiguous_click_come_where_the_project_asks_for_them(client: httpx.Client) -> None:
    several = CONFIG.replace('name="brush"', 'name="brush" model_candidates="3"')
    drawn = scene()
    asked = body(data_url(drawn.image), [click(*inside(largest(drawn)), SIZE)], several)
    found = regions_of(client.post("/predict", json=asked))
    assert 1 < len(found) <= 3
    assert [region["score"] for region in found] == sorted(
        (region["score"] for region in found), reverse=True
    )
    assert len({region["id"] for region in found}) == len(found)
