"""Lists of pictures that are followed: one click or box, and a mask on every picture."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Bitmap, Size
from pydantic import SecretStr

from demo_model.movies import write_movie
from tests.fakes import asking_video
from tests.fakes.asking import Region, body, data_url, regions_of
from tests.fakes.asking_list import (
    CONFIG,
    COUNT,
    GONE,
    SMALL,
    SMALL_SIZE,
    STEP,
    addresses,
    ask,
    box,
    click,
    frames,
    masks,
    mean_iou,
    request,
    truth,
)
from tests.fakes.eventually import eventually
from tests.fakes.failing_track import FailingTracks
from tests.fakes.servers import LEGACY, Exchange, Site, serving
from tests.fakes.settings import settings

THIRD, LATER = 2, 7
"""The picture that an object is asked for on, and one on which it is corrected."""

VISIBLE = [place for place in range(COUNT) if place not in GONE]
BROKEN = "data:image/png;base64,AAAA"


def tracks(client: httpx.Client) -> list[dict[str, Any]]:
    return [job for job in client.get("/jobs").json()["jobs"] if job["kind"] == "track"]


def problem(client: httpx.Client) -> dict[str, str]:
    found: dict[str, str] = client.get("/").json()["problems"].get("1", {})
    return found


def test_one_click_answers_with_the_objects_mask_on_every_picture_that_it_is_on(client: httpx.Client) -> None:
    answered = ask(client, click(THIRD))
    assert GONE == [5, 6]
    assert sorted(masks(answered)) == VISIBLE
    assert mean_iou(masks(answered)) > 0.9
    assert {region["value"]["brushlabels"][0] for region in answered} == {"Car"}
    assert len({region["id"] for region in answered}) == len(answered)


def test_each_mask_has_the_size_of_its_own_picture(client: httpx.Client) -> None:
    answered = ask(client, click(THIRD))
    sizes = {
        region["item_index"]: Size(region["original_height"], region["original_width"]) for region in answered
    }
    assert sizes.pop(SMALL) == SMALL_SIZE
    assert set(sizes.values()) == {Size(*truth(0).shape)}
    assert iou(masks(answered)[SMALL], truth(SMALL)) > 0.9


def test_what_to_look_at_is_listed_on_the_first_region_and_said_on_each(client: httpx.Client) -> None:
    first, *others = ask(client, click(THIRD))
    flagged = sorted(region["item_index"] + 1 for region in others if "meta" in region)
    assert flagged == [9, 10]
    assert first["meta"] == {"text": ["look at pictures 9-10"]}
    assert others[-3]["meta"] == {"text": ["look whether this is still the object"]}


def test_masks_come_in_the_order_of_nearness_to_the_prompt(client: httpx.Client) -> None:
    order = [region["item_index"] for region in ask(client, click(4))]
    assert order == sorted(order, key=lambda place: abs(place - 4))


def test_the_same_click_again_gives_the_same_answer_without_following_again(client: httpx.Client) -> None:
    first = ask(client, click(THIRD), task=2)
    begun = len(tracks(client))
    assert ask(client, click(THIRD), task=2) == first
    assert len(tracks(client)) == begun
    assert [region["id"] for region in ask(client, click(THIRD), task=3)] == [one["id"] for one in first]


@pytest.mark.slow
def test_j_is_that_of_the_same_frames_as_a_video(client: httpx.Client, tmp_path: Path) -> None:
    """A box on the third; the video is followed backward too."""
    write_movie(tmp_path / "list.mp4", frames())
    clip = asking_video.CONFIG.replace('name="box"', 'name="box" model_backward="true"')
    drawn = asking_video.region(
        "v", asking_video.keyframe(STEP * THIRD + 1, 0) | {"frame": THIRD + 1, "time": 0}
    )
    drawn["value"] |= {"framesCount": COUNT, "duration": COUNT / 12}
    asked = body("", [drawn], clip) | {
        "tasks": [{"id": 4, "data": {"video": data_of(tmp_path / "list.mp4")}}]
    }
    (video,) = regions_of(client.post("/predict", json=asked))
    size = Size(*truth(0).shape)
    followed = {
        one["frame"] - 1: coco_rle.decode(one["rle"]["counts"], size)
        for one in video["value"]["sequence"]
        if "rle" in one
    }
    listed = masks(ask(client, box(THIRD), images=[data_url(frame) for frame in frames()], task=4))
    assert j_of(listed) == pytest.approx(j_of(followed), abs=0.01)
    assert listed.keys() == followed.keys()


def j_of(found: dict[int, Bitmap]) -> float:
    whole = demo.sample_clip_masks()[::STEP, 0]
    nothing = np.zeros_like(whole[0])
    return float(np.mean([iou(found.get(at, nothing), mask) for at, mask in enumerate(whole) if mask.any()]))


def data_of(path: Path) -> str:
    return asking_video.CLIP.partition(",")[0] + "," + base64.b64encode(path.read_bytes()).decode()


def by_place(answered: list[Region]) -> dict[int, Region]:
    """Without what is said of the whole track in the Info panel."""
    return {region["item_index"]: region | {"meta": None} for region in answered}


def test_a_correction_changes_its_picture_and_what_lies_beyond_and_leaves_what_lies_nearer(
    client: httpx.Client,
) -> None:
    """On the list's other object, so that much changes."""
    first = by_place(ask(client, click(THIRD), task=5))
    after = by_place(ask(client, click(THIRD), click(LATER, 1), task=5))
    nearer = [place for place in VISIBLE if place < LATER]
    assert [after[place] for place in nearer] == [first[place] for place in nearer]
    assert all(after.get(place) != first[place] for place in VISIBLE if place >= LATER)
    assert iou(masks([after[LATER]])[LATER], truth(LATER, 1)) > 0.9
    assert tracks(client)[0]["progress"]["total"] == COUNT - LATER  # nothing nearer is followed again


def test_a_correction_toward_the_beginning_leaves_the_end(client: httpx.Client) -> None:
    first = by_place(ask(client, click(4), task=6))
    after = by_place(ask(client, click(4), box(1, 1), task=6))
    assert [after[place] for place in VISIBLE if place > 1] == [
        first[place] for place in VISIBLE if place > 1
    ]
    assert iou(masks([after[1]])[1], truth(1, 1)) > 0.9
    assert after.get(0) != first[0]


def test_what_a_mask_follows_from_are_the_prompts_up_to_it_whenever_they_were_drawn(
    client: httpx.Client,
) -> None:
    in_order = ask(client, click(THIRD), box(4), box(LATER, 1), task=7)
    otherwise = ask(client, click(THIRD), box(LATER, 1), box(4), task=8)
    assert in_order == otherwise
    back = ask(client, click(THIRD), task=8)
    assert back == ask(client, click(THIRD), task=9)


def test_a_negative_click_alone_corrects_what_is_tracked_there(client: httpx.Client) -> None:
    before = masks(ask(client, click(THIRD), task=10))
    ys, xs = np.nonzero(before[LATER])
    wrong = click(LATER, at=(xs[ys == ys.min()][0], ys.min()), positive=False)
    after = masks(ask(client, click(THIRD), wrong, task=10))
    assert 0.5 < iou(after[LATER], before[LATER]) < 1
    assert after[LATER].sum() < before[LATER].sum()
    assert all(np.array_equal(after[place], before[place]) for place in VISIBLE if place < LATER)
    assert tracks(client)[0]["progress"]["total"] == COUNT - LATER


def test_negative_clicks_alone_ask_for_nothing(client: httpx.Client) -> None:
    assert ask(client, click(THIRD, positive=False), task=11) == []


def test_two_boxes_are_two_objects_and_a_box_on_another_picture_corrects_the_nearer_one(
    client: httpx.Client,
) -> None:
    both = ask(client, box(THIRD, 0), box(THIRD, 1), task=12)
    assert [region["item_index"] for region in both].count(THIRD) == 2
    alone = ask(client, box(THIRD, 0), task=13)
    corrected = ask(client, box(THIRD, 0), box(THIRD, 1), box(3, 1), task=12)
    of_first = [region for region in corrected if region["id"] in {one["id"] for one in alone}]
    assert of_first == alone
    assert len(corrected) <= len(both) + 1


def test_several_clicks_on_the_first_picture_refine_each_other_as_on_a_picture_alone(
    client: httpx.Client,
) -> None:
    ys, xs = np.nonzero(truth(THIRD))
    top = click(THIRD, at=(float(xs[ys == ys.min()][0]), float(ys.min()) - 12), positive=False)
    drawn = [click(THIRD), top, click(THIRD, at=(float(xs.min()) + 8, float(ys[xs == xs.min()][0])))]
    (alone,) = ask(client, *drawn, config=CONFIG.replace('model_track="true"', ""))
    followed = masks(ask(client, *drawn, task=18))
    assert iou(followed[THIRD], masks([alone])[THIRD]) > 0.97
    assert mean_iou(followed) > 0.9


@pytest.mark.parametrize("label", ["Car", "Dog"])
def test_objects_of_two_labels_are_followed_each_by_itself(client: httpx.Client, label: str) -> None:
    answered = ask(client, click(THIRD, 0, label="Car"), click(3, 1, label="Dog"), task=14)
    mine = [region for region in answered if region["value"]["brushlabels"] == [label]]
    assert mean_iou(masks(mine), ["Car", "Dog"].index(label)) > 0.7


def test_a_separate_labels_tag_names_each_mask(client: httpx.Client) -> None:
    separate = """<View>
      <Labels name="label" toName="image"><Label value="Car"/></Labels>
      <Image name="image" valueList="$images"/>
      <KeyPoint name="click" toName="image" smart="true"/>
      <Brush name="brush" toName="image" smart="false" model_track="true"/>
    </View>"""
    drawn = click(THIRD) | {"type": "keypoint"}
    naming = drawn | {"type": "labels", "from_name": "label", "value": drawn["value"] | {"labels": ["Car"]}}
    answered = ask(client, drawn, naming, config=separate, task=15)
    assert sorted(region["item_index"] for region in answered if region["type"] == "labels") == VISIBLE
    assert sorted(region["item_index"] for region in answered if region["type"] == "brush") == VISIBLE


def test_without_the_option_only_the_picture_that_was_clicked_on_is_answered(client: httpx.Client) -> None:
    plain = CONFIG.replace('model_track="true"', "")
    (region,) = ask(client, click(THIRD), config=plain)
    assert region["item_index"] == THIRD


def test_a_list_of_one_picture_is_answered_as_a_picture(client: httpx.Client) -> None:
    (region,) = ask(client, click(0), images=[addresses()[0]])
    begun = len(tracks(client))
    assert region["item_index"] == 0
    assert ask(client, click(0), images=[addresses()[0]]) == [region]
    assert len(tracks(client)) == begun


def test_a_broken_picture_is_passed_over_and_named(client: httpx.Client) -> None:
    images = [*addresses()[:4], BROKEN, *addresses()[5:]]
    answered = ask(client, click(THIRD), images=images, task=16)
    assert sorted(masks(answered)) == [place for place in VISIBLE if place != 4]
    assert mean_iou(masks(answered) | {4: truth(4)}) > 0.9
    assert "Task 16: picture 5 of 12 has no masks. " in problem(client)["detail"]
    assert any("not read: pictures 5" in line for line in answered[0]["meta"]["text"])
    assert ask(client, click(THIRD), images=images, task=16) == answered
    assert "picture 5 of 12" in problem(client)["detail"]


def test_a_place_without_an_address_is_passed_over_too(client: httpx.Client) -> None:
    images = [*addresses()[:4], None, *addresses()[5:]]
    assert sorted(masks(ask(client, click(THIRD), images=images, task=17))) == [
        place for place in VISIBLE if place != 4
    ]
    assert "picture 5 of 12 has no masks. The task's data has no address" in problem(client)["detail"]


def test_a_click_on_a_picture_that_the_list_lacks_is_refused_by_name(client: httpx.Client) -> None:
    answer = client.post("/predict", json=request(click(THIRD) | {"item_index": COUNT}))
    assert answer.status_code == 400
    assert f"at position {COUNT}" in answer.json()["detail"]


def test_a_picture_is_encoded_once_for_the_list_and_for_clicks() -> None:
    with (
        running(settings()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        eventually(lambda: client.get("/ready").status_code == 200, seconds=60)
        ask(client, box(THIRD))
        ask(client, box(4, 1))
        plain = CONFIG.replace('model_track="true"', "")
        assert ask(client, click(LATER, 1), config=plain)
        text = client.get("/metrics").text
    (encoded,) = (
        line for line in text.splitlines() if line.startswith('sam2_embedding_cache{kind="encoded"}')
    )
    assert float(encoded.split()[-1]) == COUNT


@pytest.fixture
def hasty() -> Iterator[httpx.Client]:
    """A service that waits for a track no longer than a moment."""
    with (
        running(settings(predict_budget=0.3)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        eventually(lambda: client.get("/ready").status_code == 200, seconds=60)
        yield client


@pytest.mark.slow
def test_what_does_not_fit_the_budget_is_what_lies_farthest_and_a_job_goes_on_with_it(
    hasty: httpx.Client,
) -> None:
    many = [*addresses()] * 8
    first: list[Region] = []
    while not first:
        first = ask(hasty, click(THIRD), images=many)
    found = sorted(masks(first))
    assert len(found) < len(many) // 2
    assert max(abs(place - THIRD) for place in found) < len(many) // 2
    assert any("looked at by now; the rest goes on" in line for line in first[0]["meta"]["text"])
    eventually(lambda: tracks(hasty)[0]["state"] == "done", seconds=60)
    whole = ask(hasty, click(THIRD), images=many)
    assert len(tracks(hasty)) == 1
    assert len(whole) > len(first)
    assert whole[1 : len(first)] == first[1:]
    assert "rest goes on" not in str(whole[0].get("meta"))


@pytest.mark.slow
def test_what_is_finished_after_the_answer_is_stored_as_a_prediction_on_the_task() -> None:
    stored: list[dict[str, Any]] = []

    def reply(exchange: Exchange) -> None:
        assert exchange.seen.method == "POST"
        stored.append(json.loads(exchange.seen.body))
        exchange.json(201, {"id": 1})

    with serving(Site(reply)) as label_studio:
        given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
        with (
            running(settings(predict_budget=0.01, **given)) as address,
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            eventually(lambda: client.get("/ready").status_code == 200, seconds=60)
            ask(client, box(THIRD), task=77)
            eventually(lambda: bool(stored), seconds=60)
            version = client.get("/ready").json()["model_version"]
    (prediction,) = stored
    assert (prediction["task"], prediction["model_version"]) == (77, version)
    assert sorted(masks(prediction["result"])) == VISIBLE
    assert 0 < prediction["score"] <= 1


def test_a_track_that_fails_on_its_way_answers_what_it_found_and_says_so() -> None:
    context = FailingTracks()
    with (
        running(context.settings, context=context) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        eventually(lambda: client.get("/ready").status_code == 200, seconds=60)
        context.error, context.frames = RuntimeError("CUDA out of memory"), 3
        answered = ask(client, click(THIRD))
        assert {THIRD} < masks(answered).keys() < set(VISIBLE)
        assert "failed unexpectedly" in answered[0]["meta"]["text"][0]
        assert "Tracking failed unexpectedly" in problem(client)["detail"]
        context.error = None
        assert sorted(masks(ask(client, click(THIRD)))) == VISIBLE
