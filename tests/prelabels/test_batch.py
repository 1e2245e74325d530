from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import httpx
import numpy as np
import orjson
import pytest
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.geometry import iou
from label_studio_sam2.media_files import pictures
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Bitmap, Size
from pydantic import SecretStr

from demo_model.image_evaluation import HEIGHT, WIDTH, evaluate_scenes
from demo_model.scenes import draw_scene
from tests.fakes.asking import (
    CONFIG,
    Region,
    batch,
    body,
    box,
    click,
    data_url,
    inside,
    mask_of,
    results_of,
    task,
)
from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, Exchange, serving
from tests.fakes.settings import settings
from tests.fakes.tuned_versions import saved

SIZE = Size(240, 320)
ONE_LABEL = CONFIG.replace('<Label value="Dog"/>', "")
EVERYTHING = ONE_LABEL.replace('name="brush"', 'name="brush" model_everything="true"')
NOTHING = {"id": 99, "data": {}}
"""Beside it another task is one of a batch, which waits longer than an opened one."""

LISTED = CONFIG.replace('value="$image"', 'valueList="$image"')


def scene(seed: int) -> Any:
    return draw_scene(seed, width=SIZE.width, height=SIZE.height)


def around(mask: Bitmap, label: str = "Car", size: Size = SIZE) -> Region:
    ys, xs = np.nonzero(mask)
    return box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1, size, label=label)


def outline(mask: Bitmap) -> Region:
    """A polygon that somebody drew around an object, a few pixels too wide."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8))
    contours, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = max(contours, key=cv2.contourArea)[:, 0] * (100 / SIZE.width, 100 / SIZE.height)
    value = {"points": points.tolist(), "closed": True, "polygonlabels": ["Dog"]}
    return {"id": "outline", "type": "polygonlabels", "from_name": "p", "to_name": "image", "value": value}


def matched(regions: list[Region], truths: Any) -> np.ndarray[Any, Any]:
    """IoUs (regions, truths)."""
    return np.array([[iou(mask_of(region), truth) for truth in truths] for region in regions])


def test_masks_of_a_jpeg_that_breaks_off_say_so_where_nobody_clicked(client: httpx.Client) -> None:
    drawn = scene(17)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(drawn.image, cv2.COLOR_RGB2BGR))[1].tobytes()
    address = "data:image/jpeg;base64," + base64.b64encode(jpeg[:-40]).decode()
    cut = task(1, address) | {"annotations": [{"result": [around(drawn.masks[0])]}]}
    (region,), *_ = results_of(client.post("/predict", json=batch([cut, NOTHING])))
    assert region["meta"]["text"] == [pictures.CUT_OFF]


@pytest.mark.slow
def test_everything_mode_finds_the_objects_of_plain_scenes_and_little_else(client: httpx.Client) -> None:
    scenes = [scene(seed) for seed in range(200, 204)]
    asked = batch([task(n, data_url(one.image)) for n, one in enumerate(scenes, start=1)], EVERYTHING)
    objects = found = masks = 0
    for regions, one in zip(results_of(client.post("/predict", json=asked)), scenes, strict=True):
        overlaps = matched(regions, one.masks)
        objects += len(one.masks)
        found += int((overlaps.max(axis=0) >= 0.7).sum())
        masks += len(regions)
        scores = [region["score"] for region in regions]
        assert scores == sorted(scores, reverse=True)
        assert {tuple(region["value"]["brushlabels"]) for region in regions} == {("Car",)}
        assert len({region["id"] for region in regions}) == len(regions)
    assert found / objects >= 0.8
    assert (masks - found) / masks < 0.2


def test_everything_can_be_asked_for_in_the_request_and_takes_the_label_that_the_project_names(
    client: httpx.Client,
) -> None:
    named = CONFIG.replace('name="brush"', 'name="brush" model_label="Dog"')
    picture = data_url(scene(200).image)
    in_params = batch([task(1, picture)], named, params={"context": None, "everything": True})
    in_context = batch([task(1, picture)], named, params={"context": {"everything": True}})
    (one,), (other,) = (results_of(client.post("/predict", json=asked)) for asked in (in_params, in_context))
    assert one == other
    assert {tuple(region["value"]["brushlabels"]) for region in one} == {("Dog",)}


def test_a_project_that_wants_few_objects_gets_the_best_rated(client: httpx.Client) -> None:
    few = EVERYTHING.replace("model_everything", 'model_regions="2" model_everything')
    params = {"context": None, "everything": True}
    one = task(1, data_url(scene(200).image))
    (found,), (limited,) = (
        results_of(client.post("/predict", json=batch([one], config, params=params)))
        for config in (EVERYTHING, few)
    )
    assert limited == found[:2]
    assert len(found) > 2


@pytest.mark.parametrize("where", ["annotations", "predictions", "data", "data as a prediction"])
def test_a_box_that_is_there_already_becomes_a_mask_with_its_label(where: str, client: httpx.Client) -> None:
    drawn = scene(201)
    boxes = [
        around(mask, label) for mask, label in zip(drawn.masks, ("Car", "Dog", "Car", "Dog"), strict=False)
    ]
    one = task(1, data_url(drawn.image))
    detected = {"id": 5, "result": boxes, "model_version": "yolo-v8"}
    if where.startswith("data"):
        one["data"]["detections"] = boxes if where == "data" else [detected]
    else:
        one[where] = [detected]
    (regions,) = results_of(client.post("/predict", json=batch([one])))
    assert [region["value"]["brushlabels"] for region in regions] == [
        region["value"]["rectanglelabels"] for region in boxes
    ]
    overlaps = matched(regions, drawn.masks)
    assert np.median(overlaps.diagonal()) > 0.85


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
def test_masks_from_boxes_are_as_good_as_those_of_the_models_own_figures(client: httpx.Client) -> None:
    size = Size(HEIGHT, WIDTH)
    drawn = [draw_scene(seed, split="held_out", width=WIDTH, height=HEIGHT) for seed in range(4)]
    tasks = [
        task(
            n,
            data_url(one.image),
            annotations=[{"id": 1, "result": [around(m, size=size) for m in one.masks]}],
        )
        for n, one in enumerate(drawn, start=1)
    ]
    answered = results_of(client.post("/predict", json=batch(tasks)))
    ours = [float(matched(r, one.masks).diagonal().mean()) for r, one in zip(answered, drawn, strict=True)]
    measured = evaluate_scenes(
        demo_model().network, "plain", len(drawn)
    )  # what the checkpoint's figures are made by
    assert np.mean(ours) > np.mean([one.mean("box") for one in measured]) - 0.005


def test_points_and_outlines_that_are_there_become_masks_each_its_own(client: httpx.Client) -> None:
    drawn = scene(201)
    clicks = [click(*inside(mask), SIZE) for mask in drawn.masks[:2]]
    (x, y) = inside(drawn.masks[2])
    ellipse = {
        "id": "ellipse",
        "type": "ellipselabels",
        "from_name": "e",
        "to_name": "image",
        "value": {
            "x": 100 * x / SIZE.width,
            "y": 100 * y / SIZE.height,
            "radiusX": 4,
            "radiusY": 5,
            "ellipselabels": ["Dog"],
        },
    }
    there = [*clicks, ellipse, outline(drawn.masks[2])]
    one = task(1, data_url(drawn.image), annotations=[{"id": 1, "result": there}])
    (regions,) = results_of(client.post("/predict", json=batch([one])))
    overlaps = matched(regions, drawn.masks)
    assert [region["value"]["brushlabels"] for region in regions] == [["Car"], ["Car"], ["Dog"], ["Dog"]]
    assert overlaps.diagonal()[:2].min() > 0.6
    assert overlaps[3, 2] > 0.8


def test_what_has_masks_already_and_what_we_predicted_ourselves_asks_for_nothing(
    client: httpx.Client,
) -> None:
    drawn = scene(201)
    boxes = [around(drawn.masks[0])]
    brush = {
        "id": "b",
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "image",
        "value": {"rle": [1]},
    }
    finished = task(1, data_url(drawn.image), annotations=[{"id": 1, "result": [*boxes, brush]}])
    ours = {"id": 1, "result": boxes, "model_version": demo_model().version + "+project1.v2"}
    cancelled = {"id": 1, "result": boxes, "was_cancelled": True}
    tasks = [
        finished,
        task(2, data_url(drawn.image), predictions=[ours]),
        task(3, data_url(drawn.image), annotations=[cancelled]),
    ]
    assert client.post("/predict", json=batch(tasks)).json() == {"results": [[], [], []]}


def test_pictures_of_a_list_are_answered_by_their_place(client: httpx.Client) -> None:
    config = LISTED.replace('name="brush"', 'name="brush" model_everything="true"')
    one = task(1, [data_url(scene(seed).image) for seed in (200, 202)])
    (regions,) = results_of(client.post("/predict", json=batch([one, task(2, [])], config)))[:1]
    assert {region["item_index"] for region in regions} == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ('valueList="$doc.pages"', lambda pages: {"doc": {"pages": pages}}),
        ('valueList="$pages"', lambda pages: {"pages": pages}),
        ('valueList="$docs[0].pages"', lambda pages: {"docs": [{"pages": pages}]}),
    ],
)
def test_everything_is_found_on_every_page_of_a_list_wherever_it_lies(
    attributes: str, data: Any, client: httpx.Client
) -> None:
    config = EVERYTHING.replace('value="$image"', attributes)
    one = {"id": 1, "data": data([data_url(scene(seed).image) for seed in (200, 202)])}
    (regions,) = results_of(client.post("/predict", json=batch([one, NOTHING], config)))[:1]
    assert {region["item_index"] for region in regions} == {0, 1}


@pytest.mark.slow
def test_everything_is_found_on_every_page_of_a_repeater(client: httpx.Client) -> None:
    tags = EVERYTHING.removeprefix("<View>").removesuffix("</View>").replace('"$image"', '"$pages[{{idx}}]"')
    named = tags.replace('"image"', '"page_{{idx}}"').replace('name="brush"', 'name="brush_{{idx}}"')
    config = f'<View><Repeater on="$pages">{named}</Repeater></View>'
    one = {"id": 1, "data": {"pages": [data_url(scene(seed).image) for seed in (200, 202)]}}
    (regions,) = results_of(client.post("/predict", json=batch([one, NOTHING], config)))[:1]
    assert {(region["from_name"], region["to_name"]) for region in regions} == {
        ("brush_0", "page_0"),
        ("brush_1", "page_1"),
    }


def nested(deep: int) -> Any:
    found: Any = "text"
    for _ in range(deep):
        found = {"a": [found]}
    return found


def test_one_odd_task_or_region_never_loses_the_batch(client: httpx.Client) -> None:
    drawn = scene(201)
    picture, good = data_url(drawn.image), around(drawn.masks[0])

    def carrying(*regions: Any) -> list[Any]:
        return [{"id": 1, "result": list(regions)}]

    odd = [
        carrying(good | {"to_name": ["image"]}),
        carrying(good | {"to_name": {"a": 1}}),
        carrying(good | {"type": ["rectanglelabels"]}, good),
        carrying(
            {"id": "x", "type": "ellipse", "value": {"x": 1, "y": 1, "radiusX": 1e13, "radiusY": []}}, good
        ),
        carrying(good | {"id": "flat", "value": good["value"] | {"width": 0}}, good),
        carrying(good | {"id": "text", "value": good["value"] | {"x": "1"}}, None, 5, good),
        carrying({"id": "far", "type": "polygon", "value": {"points": [[0, 0], [1e308, 0], [0, 1]]}}, good),
        [*carrying(good), nested(60)],
    ]
    tasks = [task(number, picture, annotations=one) for number, one in enumerate(odd, start=1)]
    tasks += [task(20, picture, data={"image": picture, "deep": nested(60)}, annotations=carrying(good))]
    broken = [None, {"id": 31, "data": None, "annotations": carrying(good)}, 5]
    results = client.post("/predict", json=batch([*tasks, *broken], project="4715.1")).json()["results"]
    expected = results_of(
        client.post("/predict", json=batch([task(1, picture, annotations=carrying(good)), NOTHING]))
    )[:1]
    assert [entry["result"] if entry else [] for entry in results[: len(tasks)]] == expected * len(tasks)
    assert results[len(tasks) :] == [[]] * len(broken)
    assert "4715" in client.get("/").json()["problems"]


def test_what_a_batch_left_out_stays_with_the_project_until_a_batch_leaves_nothing_out(
    client: httpx.Client,
) -> None:
    drawn = scene(201)
    flat = around(drawn.masks[1]) | {"id": "flat"}
    flat["value"] = flat["value"] | {"height": 0}
    both = task(1, data_url(drawn.image), annotations=[{"id": 1, "result": [around(drawn.masks[0]), flat]}])
    (regions,) = results_of(client.post("/predict", json=batch([both, NOTHING], project="4716.1")))[:1]
    assert len(regions) == 1
    problem = client.get("/").json()["problems"]["4716"]
    assert (problem["error"], 'Region "flat"' in problem["detail"]) == ("LeftOut", True)
    fine = both | {"annotations": [{"id": 1, "result": [around(drawn.masks[0])]}]}
    results_of(client.post("/predict", json=batch([fine, NOTHING], project="4716.1")))
    assert "4716" not in client.get("/").json()["problems"]


@pytest.mark.parametrize("kind", ["predict", "warm"])
def test_a_project_without_a_labeling_config_is_refused_in_a_sentence(
    kind: str, label_studio: ProjectServer, connected: httpx.Client
) -> None:
    del label_studio.api[f"/api/projects/{PROJECT}/"]["label_config"]
    answer = connected.post("/jobs", json={"kind": kind, "project": PROJECT})
    assert (answer.status_code, answer.json()["error"]) == (400, "LabelConfigError")
    assert "no labeling config" in answer.json()["detail"]


@pytest.mark.slow
def test_tasks_that_fail_lose_nobody_elses_masks_and_their_reasons_are_kept(client: httpx.Client) -> None:
    drawn = [scene(seed) for seed in (200, 201)]
    pictures = [data_url(one.image) for one in drawn]
    tasks = []
    for number in range(200):
        boxes = [{"id": 1, "result": [around(drawn[number % 2].masks[0])]}]
        broken = number % 10 == 3
        tasks.append(task(number + 1, "file:///no" if broken else pictures[number % 2], annotations=boxes))
    asked = batch(tasks, project="4712.1")
    results = client.post("/predict", json=asked).json()["results"]
    assert len(results) == 200
    assert [number for number, entry in enumerate(results) if entry == []] == list(range(3, 200, 10))
    assert {entry["model_version"] for entry in results if entry} == {demo_model().version}
    assert all(0 < entry["score"] <= 1 for entry in results if entry)
    job = next(
        job for job in client.get("/jobs").json()["jobs"] if job["title"] == "200 tasks of project 4712"
    )
    eventually(lambda: client.get(f"/jobs/{job['id']}").json()["state"] == "done")
    result = client.get(f"/jobs/{job['id']}").json()["result"]
    assert (result["answered"], result["failed"]) == (180, 20)
    assert "Task 4:" in result["reasons"][0]
    assert client.get("/").json()["problems"]["4712"]["error"] == "MediaRefused"


class Gated(ProjectServer):
    """Hands the picture out only when it is told to."""

    def __init__(self, label_config: str) -> None:
        super().__init__(label_config)
        self.asked, self.go = Event(), Event()
        answer_otherwise = self.reply_with
        png = cv2.imencode(".png", scene(201).image)[1].tobytes()

        def answer(exchange: Exchange) -> None:
            if not exchange.path.endswith("gated.png"):
                answer_otherwise(exchange)
                return
            self.asked.set()
            assert self.go.wait(20)
            exchange.reply(200, png, {"Content-Type": "image/png"})

        self.reply_with = answer


def test_a_version_that_is_chosen_during_a_batch_is_neither_asked_nor_named_in_it(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "versions")
    saved(versions, PROJECT)
    with serving(Gated(EVERYTHING)) as site:
        (number,) = site.add("/data/upload/7/gated.png")
        given = {"label_studio_url": site.url, "label_studio_api_key": SecretStr(LEGACY)}
        with (
            running(settings(model_cache=tmp_path, **given)) as address,
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            client.post("/jobs", json={"kind": "predict", "project": PROJECT}).raise_for_status()
            assert site.asked.wait(20)
            versions.use(PROJECT, 1)
            assert client.get("/versions").json()["in_use"] == {str(PROJECT): 1}
            site.go.set()
            eventually(lambda: bool(site.predictions(number)))
    assert [one["model_version"] for one in site.predictions(number)] == [demo_model().version]


def test_candidates_of_one_click_are_the_whole_the_part_and_the_subpart_the_best_rated_first(
    client: httpx.Client,
) -> None:
    drawn = scene(201)
    asked = body(
        data_url(drawn.image),
        [click(*inside(drawn.masks[0]), SIZE)],
        CONFIG.replace('name="brush"', 'name="brush" model_candidates="3"'),
    )
    (regions,) = results_of(client.post("/predict", json=asked))
    assert len(regions) == 3
    assert len({orjson.dumps(region["value"]["rle"]) for region in regions}) == 3
    scores = [region["score"] for region in regions]
    assert scores == sorted(scores, reverse=True)


@pytest.fixture
def label_studio() -> Iterator[ProjectServer]:
    with serving(ProjectServer(EVERYTHING)) as site:
        yield site


@pytest.fixture
def connected(label_studio: ProjectServer) -> Iterator[httpx.Client]:
    """A service that may store, and has next to no time to answer."""
    given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
    with (
        running(settings(predict_budget=1e-3, **given)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def finished(client: httpx.Client, kind: str) -> dict[str, Any]:
    """The only job of this kind, once it has ended."""

    def jobs() -> list[dict[str, Any]]:
        return [job for job in client.get("/jobs").json()["jobs"] if job["kind"] == kind]

    eventually(lambda: bool(jobs()) and jobs()[0]["finished"] is not None, 60)
    return jobs()[0]


@pytest.mark.slow
def test_what_is_not_ready_in_time_goes_on_and_is_stored_once_through_the_api(
    label_studio: ProjectServer, connected: httpx.Client
) -> None:
    drawn = [scene(seed) for seed in (210, 211, 212)]
    numbers = label_studio.add(*(data_url(one.image) for one in drawn))
    asked = batch([label_studio.tasks[number] for number in numbers], EVERYTHING)
    first = connected.post("/predict", json=asked)
    assert [] in first.json()["results"]
    connected.post("/predict", json=asked)  # somebody is impatient
    eventually(lambda: all(job["finished"] for job in connected.get("/jobs").json()["jobs"]), 60)
    for place, number in enumerate(numbers):
        answered = bool(first.json()["results"][place])
        assert len(label_studio.predictions(number)) == (0 if answered else 1)
    stored = label_studio.predictions(numbers[-1])[0]
    assert stored["model_version"] == demo_model().version
    assert matched(stored["result"], drawn[-1].masks).max() > 0.7


@pytest.mark.slow
def test_a_task_that_is_opened_and_retrieved_at_once_gets_its_masks_from_one_of_them(
    label_studio: ProjectServer, connected: httpx.Client
) -> None:
    big = draw_scene(215, width=4 * SIZE.width, height=4 * SIZE.height)  # searched in crops: not ready soon
    (number,) = label_studio.add(data_url(big.image))
    one = label_studio.tasks[number]
    asked = [
        batch([one], EVERYTHING),
        batch([one], EVERYTHING, params={"context": None, "everything": True}),
        batch([one, task(99, "file:///no")], EVERYTHING),
    ]
    with ThreadPoolExecutor() as threads:
        answers = list(threads.map(lambda content: connected.post("/predict", json=content).json(), asked))
    eventually(lambda: all(job["finished"] for job in connected.get("/jobs").json()["jobs"]), 60)
    answered = sum(bool(answer["results"][0]) for answer in answers)
    assert answered + len(label_studio.predictions(number)) == 1


@pytest.mark.slow
def test_without_a_key_what_came_too_late_is_there_when_it_is_asked_for_again() -> None:
    asked = batch([task(n, data_url(scene(213).image)) for n in (1, 2)], EVERYTHING)
    with (
        running(settings(predict_budget=1e-3)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        assert client.post("/predict", json=asked).json()["results"] == [[], []]
        assert finished(client, "masks")["result"]["kept"] == 2
        assert "LABEL_STUDIO_API_KEY" in client.get("/").json()["problems"][str(PROJECT)]["detail"]
        assert all(results_of(client.post("/predict", json=asked)))


def test_a_click_does_not_wait_for_a_batch_and_a_batch_can_be_cancelled(
    label_studio: ProjectServer, connected: httpx.Client
) -> None:
    numbers = label_studio.add(*(data_url(scene(seed).image) for seed in range(230, 260)))
    asked = batch([label_studio.tasks[number] for number in numbers], EVERYTHING)
    assert connected.post("/predict", json=asked).json()["results"] == [[]] * 30
    drawn = scene(201)
    clicked = body(data_url(drawn.image), [click(*inside(drawn.masks[0]), SIZE)])
    assert results_of(connected.post("/predict", json=clicked))[0]
    (job,) = (job for job in connected.get("/jobs").json()["jobs"] if job["kind"] == "masks")
    assert job["state"] == "running"
    connected.delete(f"/jobs/{job['id']}")
    ended = finished(connected, "masks")
    assert ended["state"] == "cancelled"
    assert ended["progress"]["done"] < 30


def test_opening_a_task_is_answered_with_its_masks_where_they_are_ready_soon(client: httpx.Client) -> None:
    drawn = scene(214)
    asked = body(data_url(drawn.image), None, EVERYTHING)
    found: list[Any] = []

    def answered() -> bool:
        """At the first time, unless the machine is busy with something else."""
        found[:] = results_of(client.post("/predict", json=asked))
        return bool(found[0])

    eventually(answered, seconds=60)
    assert matched(found[0], drawn.masks).max() > 0.7


def test_opening_a_task_warms_the_next_ones_of_the_project(
    label_studio: ProjectServer, connected: httpx.Client
) -> None:
    label_studio.add(*(data_url(scene(seed).image) for seed in range(220, 226)))
    opened = batch([label_studio.tasks[2]], CONFIG)
    assert connected.post("/predict", json=opened).json() == {"results": [[]]}
    eventually(lambda: connected.get("/").json()["cache"]["encoded"] == 4)
    eventually(lambda: all(job["finished"] for job in connected.get("/jobs").json()["jobs"]))
    assert connected.get("/").json()["cache"]["encoded"] == 4
    assert json.loads(connected.get("/jobs").content)["jobs"][0]["title"] == "3 tasks after task 2"


def test_the_same_retrieval_asked_again_and_again_is_one_job_and_other_tasks_another(
    label_studio: ProjectServer, connected: httpx.Client
) -> None:
    numbers = label_studio.add(*(data_url(scene(seed).image) for seed in range(240, 260)))
    tasks = [label_studio.tasks[number] for number in numbers]

    def jobs() -> list[dict[str, Any]]:
        return [job for job in connected.get("/jobs").json()["jobs"] if job["kind"] == "masks"]

    for order in (tasks, tasks, tasks[::-1]):
        connected.post("/predict", json=batch(order, EVERYTHING))
    (first,) = jobs()
    connected.post("/predict", json=batch(tasks[:10], EVERYTHING))
    connected.post("/predict", json=batch(tasks, EVERYTHING, project="8.1"))
    states = {job["title"]: job["state"] for job in jobs()}
    assert states == {
        f"20 tasks of project {PROJECT}": "running",
        f"10 tasks of project {PROJECT}": "queued",  # one at a time of one project
        "20 tasks of project 8": "running",
    }
    for job in jobs():
        connected.delete(f"/jobs/{job['id']}")
    eventually(lambda: all(job["finished"] for job in jobs()), 60)
    connected.post("/predict", json=batch(tasks, EVERYTHING))
    assert jobs()[0]["id"] != first["id"]
    connected.delete(f"/jobs/{jobs()[0]['id']}")
