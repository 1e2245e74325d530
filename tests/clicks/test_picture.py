from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from label_studio_sam2.geometry import iou
from label_studio_sam2.media_files import pictures
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, Region, body, box, click, data_url, inside, mask_of, regions_of
from tests.fakes.eventually import eventually

SIZE = Size(480, 640)
TRAFFIC = Path(__file__).parents[1] / "traffic"


NEW = count(7700)


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


def test_a_click_on_a_jpeg_that_breaks_off_is_answered_and_says_so_each_time(client: httpx.Client) -> None:
    drawn = scene(17)
    truth = largest(drawn)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(drawn.image, cv2.COLOR_RGB2BGR))[1].tobytes()
    address = "data:image/jpeg;base64," + base64.b64encode(jpeg[:-40]).decode()
    for _ in range(2):
        (region,) = regions_of(client.post("/predict", json=body(address, [click(*inside(truth), SIZE)])))
        assert iou(mask_of(region), truth) > 0.7
        assert region["meta"]["text"] == [pictures.CUT_OFF]


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
    y, x = (int(value) for value in np.argwhere(mask_of(before))[0])
    negative = click(x, y, SIZE, positive=False)
    (after,) = regions_of(client.post("/predict", json=body(data_url(drawn.image), [first, negative])))
    assert mask_of(before)[y, x]
    assert not mask_of(after)[y, x]
    assert mask_of(after).sum() > 0.5 * mask_of(before).sum()


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


def cached(client: httpx.Client) -> dict[str, int]:
    """How often an embedding came from where."""
    found: dict[str, int] = client.get("/").json()["cache"]
    return found


def test_opening_a_task_stores_nothing_and_warms_its_picture(client: httpx.Client) -> None:
    drawn, before = draw_scene(77, width=SIZE.width, height=SIZE.height), cached(client)
    opened = client.post("/predict", json=body(data_url(drawn.image), None))
    assert opened.json() == {"results": [[]]}
    eventually(lambda: cached(client)["encoded"] == before["encoded"] + 1)
    assert regions_of(client.post("/predict", json=body(data_url(drawn.image), [click(50, 50, SIZE)])))
    assert cached(client)["encoded"] == before["encoded"] + 1


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
    said = {"Content-Type": "application/json"}
    assert client.post("/predict", content=content, headers=said).status_code == 400


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


@pytest.mark.parametrize(
    "strangers",
    [
        lambda asked, n: asked["tasks"][0].pop("id"),
        lambda asked, n: [region.pop("id") for region in asked["params"]["context"]["result"]],
        lambda asked, n: asked.update(project=f"{n}.1"),
        lambda asked, n: asked["tasks"][0].update(id=n),
    ],
)
def test_clicks_of_strangers_never_take_each_others_place(
    strangers: Callable[[dict[str, Any], int], object], client: httpx.Client
) -> None:
    drawn = draw_scene(next(NEW), width=160, height=120)  # new: all wait for its encode at once
    asked = []
    for number in range(8):
        asked.append(body(data_url(drawn.image), [click(30 + number, 40, Size(120, 160), name="region")]))
        strangers(asked[-1], number)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: client.post("/predict", json=one), asked))
    assert [len(regions_of(answer)) for answer in answers] == [1] * 8


def test_one_bad_region_leaves_the_others_their_masks_and_is_named_in_the_project_s_status(
    client: httpx.Client,
) -> None:
    drawn = scene()
    good = click(*inside(largest(drawn)), SIZE, name="good")
    picture = data_url(drawn.image)
    alone = regions_of(client.post("/predict", json=body(picture, [good])))
    odd = [
        box(10, 10, 10, 20, SIZE, label="Dog") | {"id": "flat"},
        box(1000, 10, 1020, 20, SIZE, label="Dog"),
        good | {"id": "text", "value": {"x": "1", "y": 2}},
        good | {"id": "listed", "type": ["keypointlabels"], "value": [1]},
        {"id": "huge", "type": "brush", "to_name": {"a": 1}, "value": {"rle": 1e13}},
        None,
        5,
    ]
    asked = body(picture, [*odd, good], project="4713.1")
    assert regions_of(client.post("/predict", json=asked)) == alone
    problem = client.get("/").json()["problems"]["4713"]
    assert problem["error"] == "LeftOut"
    assert problem["detail"].startswith('Task 1: A region was left out. Region "text"')
    assert problem["detail"].endswith("So were 4 more; the log has them all.")
    regions_of(client.post("/predict", json=body(picture, [good], project="4713.1")))
    assert "4713" not in client.get("/").json()["problems"]


def test_a_request_of_which_nothing_can_be_used_is_refused_by_its_first_region(client: httpx.Client) -> None:
    flat = box(10, 10, 10, 20, SIZE, label="Dog") | {"id": "flat"}
    answer = client.post("/predict", json=body(data_url(scene().image), [flat, None, flat | {"id": "other"}]))
    assert (answer.status_code, answer.json()["error"]) == (400, "PromptError")
    assert answer.json()["detail"].startswith('Region "flat": the box has no area')


def test_null_is_taken_for_what_is_not_there(client: httpx.Client) -> None:
    drawn = scene()
    asked = body(data_url(drawn.image), [click(*inside(largest(drawn)), SIZE)])
    usual = client.post("/predict", json=asked).content
    asked["params"]["everything"] = None
    asked["params"]["context"] |= {"everything": None, "event": None}
    asked["params"]["context"]["result"].append(None)
    asked["params"]["context"]["result"][0]["is_positive"] = None
    assert client.post("/predict", json=asked).content == usual


@pytest.mark.parametrize(
    "tasks", [[{"id": 1, "data": None}], [{"id": {}, "data": [1]}], [None], [{"data": {"image": {"a": 1}}}]]
)
def test_a_task_without_a_picture_is_refused_in_a_sentence(tasks: list[Any], client: httpx.Client) -> None:
    answer = client.post("/predict", json=body("", [click(5, 5, SIZE)]) | {"tasks": tasks})
    assert (answer.status_code, answer.json()["error"]) == (400, "RequestError")
    assert '"image"' in answer.json()["detail"]


@pytest.mark.parametrize("project", ["9" * 5000, "9" * 5000 + ".1", -5, ""])
def test_a_project_of_an_impossible_number_is_none(project: Any, client: httpx.Client) -> None:
    drawn = scene()
    asked = body(data_url(drawn.image), [click(*inside(largest(drawn)), SIZE)])
    assert len(regions_of(client.post("/predict", json=asked | {"project": project}))) == 1
    assert client.post("/setup", json={"project": project, "schema": CONFIG}).status_code == 200


PAGES = (
    '<View><Repeater on="$pages" mode="pagination">'
    + CONFIG.removeprefix("<View>")
    .removesuffix("</View>")
    .replace('"$image"', '"$pages[{{idx}}].url"')
    .replace('"image"', '"page_{{idx}}"')
    .replace('name="brush"', 'name="brush_{{idx}}"')
    .replace('name="click"', 'name="click_{{idx}}"')
    .replace('name="box"', 'name="box_{{idx}}"')
    + "</Repeater></View>"
)


def test_a_click_on_a_page_of_a_repeater_is_answered_on_that_page_s_tags(client: httpx.Client) -> None:
    drawn = [scene(seed) for seed in (3, 4)]
    data = {"pages": [{"url": data_url(one.image)} for one in drawn]}
    truth = largest(drawn[1])
    on_page = click(*inside(truth), SIZE) | {"from_name": "click_1", "to_name": "page_1"}
    asked = body("", [on_page], PAGES) | {"tasks": [{"id": 1, "data": data}]}
    (region,) = regions_of(client.post("/predict", json=asked))
    assert (region["from_name"], region["to_name"]) == ("brush_1", "page_1")
    assert iou(mask_of(region), truth) > 0.7


def test_setup_names_what_keeps_a_repeater_from_working_and_nothing_where_it_works(
    client: httpx.Client,
) -> None:
    client.post("/setup", json={"project": "4714.1", "schema": PAGES.replace('on="$pages"', 'on="pages"')})
    assert "Repeater" in client.get("/").json()["problems"]["4714"]["detail"]
    client.post("/setup", json={"project": "4714.1", "schema": PAGES})
    assert "4714" not in client.get("/").json()["problems"]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("$images[1]", {"images": ["no", "{picture}"]}),
        ("$pages[0].url", {"pages": [{"url": "{picture}"}]}),
        ("data:image/png;base64,$bytes", {"bytes": "{bytes}"}),
    ],
)
def test_a_click_is_answered_wherever_the_tag_s_value_says_that_the_picture_is(
    value: str, data: dict[str, Any], client: httpx.Client
) -> None:
    drawn = scene()
    picture = data_url(drawn.image)
    text = json.dumps(data).replace("{picture}", picture).replace("{bytes}", picture.partition(",")[2])
    asked = body("", [click(*inside(largest(drawn)), SIZE)], CONFIG.replace('"$image"', f'"{value}"'))
    (region,) = regions_of(
        client.post("/predict", json=asked | {"tasks": [{"id": 1, "data": json.loads(text)}]})
    )
    assert iou(mask_of(region), largest(drawn)) > 0.7


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
