from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.geometry import iou
from label_studio_sam2.server.in_process import running
from pydantic import SecretStr

from tests.fakes.asking import Region, body, regions_of
from tests.fakes.asking_video import (
    CLIP,
    CONFIG,
    COUNT,
    TRUTH,
    ask,
    keyframe,
    masks,
    mean_iou,
    region,
    visible_frame,
)
from tests.fakes.clips import without_times, write_clip, write_sound, write_with_sound
from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model
from tests.fakes.servers import LEGACY, Exchange, Site, serving
from tests.fakes.settings import settings

TRAFFIC = Path(__file__).parents[1] / "traffic"


def test_a_box_on_the_first_frame_is_followed_to_the_last(client: httpx.Client) -> None:
    (answered,) = ask(client, region("a", keyframe(visible_frame(0), 0)))
    sequence = answered["value"]["sequence"]
    assert answered["id"] == "a"
    assert [one["frame"] for one in sequence] == sorted(one["frame"] for one in sequence)
    assert [bool(one.get("auto")) for one in sequence] == [False] + [True] * (len(sequence) - 1)
    assert answered["meta"]["tracked"] == [1, COUNT]
    assert mean_iou(answered, 0) > 0.75


def test_a_box_in_the_middle_is_followed_from_there_on(client: httpx.Client) -> None:
    start = visible_frame(0, after=COUNT // 2)
    (answered,) = ask(client, region("b", keyframe(start, 0)))
    assert min(masks(answered)) == start
    assert max(masks(answered)) > COUNT - 5


def test_a_box_in_the_middle_is_also_followed_backward_where_the_project_asks_for_it(
    client: httpx.Client,
) -> None:
    both = CONFIG.replace('name="box"', 'name="box" model_backward="true"')
    start = visible_frame(0, after=COUNT // 2)
    (answered,) = ask(client, region("c", keyframe(start, 0)), config=both)
    assert answered["meta"]["tracked"] == [1, COUNT]
    assert min(masks(answered)) < start < max(masks(answered))
    assert mean_iou(answered, 0) > 0.6


def test_a_box_on_the_last_frame_is_answered_alone(client: httpx.Client) -> None:
    last = max(frame for frame in range(1, COUNT + 1) if TRUTH[frame - 1, 0].sum() > 500)
    (answered,) = ask(client, region("d", keyframe(last, 0)))
    assert list(masks(answered)) == list(range(last, last + len(masks(answered))))
    assert iou(masks(answered)[last], TRUTH[last - 1, 0]) > 0.7


@pytest.mark.slow
def test_two_objects_are_followed_each_by_itself(client: httpx.Client) -> None:
    one, other = ask(
        client, *[region(f"e{thing}", keyframe(visible_frame(thing), thing)) for thing in (0, 1)]
    )
    (alone,) = ask(client, region("e-alone", keyframe(visible_frame(0), 0)))
    assert (one["id"], other["id"]) == ("e0", "e1")
    assert one["value"]["sequence"] == alone["value"]["sequence"]
    assert mean_iou(other, 1) > 0.7


@pytest.mark.slow
def test_what_to_look_at_first_is_listed_said_and_flagged_and_the_prediction_is_trusted_less_for_it(
    client: httpx.Client,
) -> None:
    """A box beside the object is followed badly."""
    drawn = keyframe(visible_frame(0), 0)
    asked = body("", [region("look", drawn | {"x": 2.0, "y": 2.0, "width": 30, "height": 20})], CONFIG)
    asked["tasks"] = [{"id": 63, "data": {"video": CLIP}}]
    (bad,) = client.post("/predict", json=asked).json()["results"]
    asked["params"]["context"]["result"] = [region("look", drawn)]
    (good,) = client.post("/predict", json=asked).json()["results"]
    (answered,) = bad["result"]
    listed = {n for first, last in answered["meta"]["look_at"] for n in range(first, last + 1)}
    first, last = answered["meta"]["look_at"][0]
    assert answered["meta"]["text"][0].startswith(f"SAM 2: look at {first}")
    assert last >= first
    flagged = {one["frame"] for one in answered["value"]["sequence"] if one.get("look_at")}
    assert flagged
    assert flagged == listed & {one["frame"] for one in answered["value"]["sequence"]}
    assert bad["score"] < good["score"]
    (again,) = ask(client, answered, task=64)
    assert again["meta"] == answered["meta"]


def test_an_object_out_of_sight_has_no_keyframe_and_is_found_again(client: httpx.Client) -> None:
    (answered,) = ask(client, region("f", keyframe(visible_frame(0), 0)))
    hidden = [frame for frame in range(1, COUNT + 1) if not TRUTH[frame - 1, 0].any()]
    sequence = {one["frame"]: one for one in answered["value"]["sequence"]}
    assert hidden, "the sample clip has a full occlusion"
    assert sum(frame in sequence for frame in hidden) <= len(hidden) // 2
    assert any(one["enabled"] is False for frame, one in sequence.items() if frame < max(hidden))
    assert max(sequence) > max(hidden)


def test_a_second_keyframe_conditions_too_and_both_stay_the_annotators(client: httpx.Client) -> None:
    later = visible_frame(0, after=COUNT - 12)
    drawn = [keyframe(visible_frame(0), 0), keyframe(later, 0)]
    (answered,) = ask(client, region("g", *drawn))
    users = [one for one in answered["value"]["sequence"] if not one.get("auto")]
    assert [one["frame"] for one in users] == [one["frame"] for one in drawn]
    assert [one["x"] for one in users] == [one["x"] for one in drawn]


def test_a_correction_changes_nothing_before_it(client: httpx.Client) -> None:
    (before,) = ask(client, region("h", keyframe(visible_frame(0), 0)))
    moved_at = visible_frame(0, after=COUNT - 14)
    corrected = [
        {**one, "x": one["x"] + 3.0, "width": one["width"] - 2.0} if one["frame"] == moved_at else one
        for one in before["value"]["sequence"]
    ]
    (after,) = ask(client, before | {"value": before["value"] | {"sequence": corrected}})
    earlier, kept = (
        [one for one in answer["value"]["sequence"] if one["frame"] < moved_at] for answer in (before, after)
    )
    assert kept == earlier
    (user,) = [one for one in after["value"]["sequence"] if one["frame"] == moved_at]
    assert not user.get("auto")
    assert user["x"] == pytest.approx(corrected[len(earlier)]["x"])
    assert masks(after)[moved_at + 3].any()


def test_the_same_click_again_gives_the_same_answer_without_tracking_again(client: httpx.Client) -> None:
    (first,) = ask(client, region("i", keyframe(visible_frame(0), 0)))
    tracked = sum(job["kind"] == "track" for job in client.get("/jobs").json()["jobs"])
    (again,) = ask(client, first)
    assert again["value"] == first["value"]
    assert sum(job["kind"] == "track" for job in client.get("/jobs").json()["jobs"]) == tracked


def test_a_reopened_annotation_is_left_as_it_is_and_corrected_only_from_where_it_was_changed(
    client: httpx.Client,
) -> None:
    start, moved_at = visible_frame(0), visible_frame(0, after=COUNT - 14)
    (saved,) = ask(client, region("r", keyframe(start, 0)), task=20)
    sequence = saved["value"]["sequence"]
    (reopened,) = ask(client, saved, task=21)  # as after a restart: nothing is remembered of another task
    assert reopened["value"]["sequence"] == sequence

    changed = [
        keyframe(moved_at, 0) | {"x": 1.0, "y": 1.0} if f["frame"] == moved_at else f for f in sequence
    ]
    (corrected,) = ask(client, saved | {"value": saved["value"] | {"sequence": changed}}, task=22)
    after = corrected["value"]["sequence"]
    assert [f for f in after if f["frame"] < moved_at] == [f for f in sequence if f["frame"] < moved_at]
    assert [f["frame"] for f in after if not f.get("auto")] == [start, moved_at]


@pytest.mark.slow
def test_without_masks_keyframes_are_thinned(client: httpx.Client) -> None:
    lean = CONFIG.replace('name="box"', 'name="box" model_masks="false"')
    (full,) = ask(client, region("j", keyframe(visible_frame(0), 0)))
    (thinned,) = ask(client, region("j", keyframe(visible_frame(0), 0)), config=lean)
    assert masks(thinned) == {}
    assert 1 < len(thinned["value"]["sequence"]) < len(full["value"]["sequence"])


def test_options_that_the_project_sets_between_two_clicks_take_effect(client: httpx.Client) -> None:
    """On the same task, where the first click's track is remembered."""
    start = visible_frame(0, after=COUNT - 12)
    drawn = region("opt", keyframe(start, 0))
    lean = CONFIG.replace('name="box"', 'name="box" model_masks="false"')
    both = CONFIG.replace('name="box"', 'name="box" model_backward="true"')
    (thinned,) = ask(client, drawn, config=lean, task=30)
    (full,) = ask(client, drawn, task=30)
    (backward,) = ask(client, drawn, config=both, task=30)
    assert masks(thinned) == {}
    assert min(masks(full)) == start
    assert full["meta"]["tracked"] == [start, COUNT]
    assert min(masks(backward)) < start
    assert backward["meta"]["tracked"] == [1, COUNT]


def test_a_rate_that_the_config_gets_between_two_clicks_takes_effect(client: httpx.Client) -> None:
    drawn = region("rate", keyframe(visible_frame(0, after=COUNT - 12), 0))
    del drawn["value"]["framesCount"], drawn["value"]["duration"]
    (first,) = ask(client, drawn, task=31)
    (second,) = ask(client, drawn, config=CONFIG.replace('framerate="12"', 'framerate="24"'), task=31)
    assert (first["value"]["framesCount"], second["value"]["framesCount"]) == (COUNT, 2 * COUNT)


def frames(answered: Region) -> list[int]:
    return [one["frame"] for one in answered["value"]["sequence"]]


@pytest.mark.parametrize("rate", [12, 24, 30])
def test_a_track_goes_no_further_than_the_project_says_whatever_rate_frames_are_counted_at(
    client: httpx.Client, rate: int
) -> None:
    short = CONFIG.replace('name="box"', 'name="box" model_frames="7" model_backward="true"').replace(
        'framerate="12"', f'framerate="{rate}"'
    )
    start = visible_frame(0) + 3
    drawn = region("short", keyframe(start, 0))
    drawn["value"] |= {"framesCount": COUNT * rate // 12}
    (answered,) = ask(client, drawn, config=short, task=50)
    assert max(frames(answered)) == start + 6
    assert min(frames(answered)) >= max(1, start - 7)
    assert answered["value"]["sequence"][-1]["enabled"] is False
    (note,) = [line for line in answered["meta"]["text"] if "model_frames" in line]
    assert f"frame {start + 6}," in note
    (again,) = ask(client, answered, config=short, task=51)
    assert again["value"] == answered["value"]


@pytest.mark.slow
def test_a_keyframe_that_the_annotator_switched_off_ends_the_track_at_that_very_frame(
    client: httpx.Client,
) -> None:
    start = visible_frame(0)
    drawn, end = keyframe(start, 0), start + 6
    (lone,) = ask(client, region("lone", drawn | {"enabled": False}), task=62)
    assert max(frames(lone)) == COUNT
    (answered,) = ask(client, region("end", drawn, drawn | {"frame": end, "enabled": False}), task=52)
    assert frames(answered) == list(range(start, end + 1))
    assert answered["value"]["sequence"][-1]["enabled"] is False
    assert answered["meta"]["tracked"] == [start, end]
    (again,) = ask(client, answered, task=53)
    assert again["value"] == answered["value"]
    on = [one | {"enabled": True} for one in answered["value"]["sequence"]]
    (longer,) = ask(client, answered | {"value": answered["value"] | {"sequence": on}}, task=53)
    assert longer["value"]["sequence"][: end - start + 1] == on
    assert max(frames(longer)) == COUNT


def test_a_tracked_object_that_is_switched_off_ends_there_and_goes_on_where_it_is_drawn_again(
    client: httpx.Client,
) -> None:
    start = visible_frame(0)
    (whole,) = ask(client, region("off", keyframe(start, 0)), task=54)
    end = next(one["frame"] for one in whole["value"]["sequence"] if one["frame"] > start + 3)
    again = visible_frame(0, after=COUNT - 10)
    switched = [one | {"enabled": one["frame"] != end} for one in whole["value"]["sequence"]]
    (ended,) = ask(client, whole | {"value": whole["value"] | {"sequence": switched}}, task=55)
    assert ended["value"]["sequence"] == switched[: end - start + 1]
    assert ended["meta"]["tracked"] == [start, end]
    drawn = [*ended["value"]["sequence"], keyframe(again, 0)]
    (both,) = ask(client, ended | {"value": ended["value"] | {"sequence": drawn}}, task=56)
    assert both["value"]["sequence"][: end - start + 1] == ended["value"]["sequence"]
    assert {number for number in frames(both) if number > end} <= set(range(again, COUNT + 1))
    assert max(frames(both)) == COUNT


def test_the_annotators_later_keyframes_stay_whatever_is_tracked_on_them(client: httpx.Client) -> None:
    later = {at: keyframe(at, 0) | {"x": 40.0 + at} for at in (visible_frame(0) + 4, COUNT - 6)}
    later[COUNT - 6]["enabled"] = False
    (answered,) = ask(client, region("later", keyframe(visible_frame(0), 0), *later.values()), task=57)
    (again,) = ask(client, answered, task=58)
    for each in (answered, again):
        there = {one["frame"]: one for one in each["value"]["sequence"]}
        assert max(there) == COUNT - 6
        for at, given in later.items():
            assert {key: there[at][key] for key in ("x", "y", "width", "height", "enabled")} == {
                key: given[key] for key in ("x", "y", "width", "height", "enabled")
            }
            assert "auto" not in there[at]


@pytest.mark.slow
def test_a_correction_leaves_the_other_objects_of_the_label_as_they_are(client: httpx.Client) -> None:
    """One of them is tracked in part, which any other click would go on with."""
    start = visible_frame(1)
    (whole,) = ask(client, region("one", keyframe(visible_frame(0), 0)), task=59)
    short = CONFIG.replace('name="box"', 'name="box" model_frames="5"')
    (part,) = ask(client, region("two", keyframe(start, 1)), config=short, task=59)
    corrected = [*whole["value"]["sequence"][:-3], keyframe(COUNT - 2, 0) | {"x": 3.0, "y": 3.0}]
    one, other = ask(client, whole | {"value": whole["value"] | {"sequence": corrected}}, part, task=60)
    assert one["value"] != whole["value"]
    assert other["value"] == part["value"]
    assert other["meta"]["tracked"] == [start, start + 4]
    assert any("click its label off and on again" in line for line in other["meta"]["text"])
    assert frames(ask(client, part, task=61)[0])[-1] == COUNT


def test_a_label_that_the_editor_takes_off_for_a_correction_comes_back(client: httpx.Client) -> None:
    """Clicking the label of a selected region switches it off: the request has the region without it."""
    last = visible_frame(0, after=COUNT - 8)
    (before,) = ask(client, region("lab", keyframe(last, 0)), task=32)
    sequence = [
        one | {"x": one["x"] + 3.0} if one["frame"] == COUNT else one for one in before["value"]["sequence"]
    ]
    toggled = before | {"value": {**before["value"], "sequence": sequence}}
    del toggled["value"]["labels"]
    (after,) = ask(client, toggled, task=32)
    assert after["value"]["labels"] == ["Player"]
    relabelled = before | {"value": before["value"] | {"labels": ["Ball"]}}
    assert ask(client, relabelled, task=32)[0]["value"]["labels"] == ["Ball"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"framesCount": 10**7}, "framesCount"),
        ({"framesCount": 4 * 10**9}, "framesCount"),
        ({"framesCount": 10**12}, "framesCount"),
        ({"framesCount": 1e30}, "framesCount"),
        ({"duration": 1e-300}, "framesCount"),
        ({"sequence": [keyframe(1, 0) | {"frame": 1e30}]}, '"frame"'),
        ({"sequence": [keyframe(1, 0) | {"frame": 2**40}]}, '"frame"'),
    ],
)
def test_numbers_that_no_video_has_are_refused_by_the_regions_name(
    client: httpx.Client, value: dict[str, Any], named: str
) -> None:
    drawn = region("many", keyframe(1, 0))
    asked = body("", [drawn | {"value": drawn["value"] | value}], CONFIG) | {
        "tasks": [{"id": 33, "data": {"video": CLIP}}]
    }
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 400
    assert 'Region "many"' in answer.json()["detail"]
    assert named in answer.json()["detail"]


@pytest.fixture(scope="module")
def hasty() -> Iterator[httpx.Client]:
    """A service that answers a video almost at once, whatever is tracked by then."""
    with (
        running(settings(predict_budget=0.05)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def finished(client: httpx.Client) -> bool:
    return all(job["state"] not in ("queued", "running") for job in client.get("/jobs").json()["jobs"])


@pytest.mark.slow
def test_what_does_not_fit_the_budget_goes_on_and_is_there_for_the_next_click(hasty: httpx.Client) -> None:
    (first,) = ask(hasty, region("k", keyframe(visible_frame(0), 0)))
    assert any("click its label off and on again" in line for line in first["meta"]["text"])
    eventually(lambda: finished(hasty), seconds=60)
    (job,) = [one for one in hasty.get("/jobs").json()["jobs"] if one["kind"] == "track"]
    assert job["state"] == "done"
    assert job["progress"]["done"] == job["progress"]["total"]
    (second,) = ask(hasty, first)
    assert second["meta"]["tracked"] == [1, COUNT]
    assert "text" not in second["meta"]
    assert mean_iou(second, 0) > 0.75


def test_a_track_can_be_cancelled_and_what_was_tracked_stays(hasty: httpx.Client) -> None:
    drawn = region("l", keyframe(visible_frame(1), 1))
    ask(hasty, drawn, task=2)
    job = next(one for one in hasty.get("/jobs").json()["jobs"] if one["kind"] == "track")
    eventually(lambda: hasty.get(f"/jobs/{job['id']}").json()["progress"]["done"] >= 3)
    (first,) = ask(hasty, drawn, task=2)
    hasty.delete(f"/jobs/{job['id']}")
    eventually(lambda: finished(hasty), seconds=60)
    assert hasty.get(f"/jobs/{job['id']}").json()["state"] == "cancelled"
    (second,) = ask(hasty, first, task=2)
    before, after = masks(first), masks(second)
    assert before
    assert all(np.array_equal(after[frame], mask) for frame, mask in before.items())


@pytest.mark.slow
def test_a_newer_prompt_on_the_region_cancels_the_older_track(hasty: httpx.Client) -> None:
    ask(hasty, region("m", keyframe(visible_frame(0), 0)), task=3)
    ask(hasty, region("m", keyframe(visible_frame(0, after=10), 0)), task=3)
    newest, older = [one for one in hasty.get("/jobs").json()["jobs"] if one["kind"] == "track"][:2]
    eventually(lambda: finished(hasty), seconds=60)
    assert hasty.get(f"/jobs/{older['id']}").json()["state"] == "cancelled"
    assert hasty.get(f"/jobs/{newest['id']}").json()["state"] == "done"


def without_decoder(path: Path) -> Path:
    """A clip whose codec has a name that nobody knows."""
    path.write_bytes(write_clip(path, frames=3).read_bytes().replace(b"avc1", b"zzzz"))
    return path


def written(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    ("write", "suffix", "named"),
    [
        (written(b""), "mp4", "empty"),
        (written(b"hello, this is no video at all"), "mp4", "another kind"),
        (written(demo.SAMPLE_IMAGE.read_bytes()), "mp4", "another kind"),
        (write_sound, "mp4", "sound but no picture"),
        (without_decoder, "mp4", "no decoder"),
        (without_times, "mkv", "0 frames a second"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(
    write: Callable[[Path], Path], suffix: str, named: str, client: httpx.Client, tmp_path: Path
) -> None:
    content = write(tmp_path / f"clip.{suffix}").read_bytes()
    address = "data:video/mp4;base64," + base64.b64encode(content).decode()
    asked = body("", [region("n", keyframe(visible_frame(0), 0))], CONFIG) | {
        "tasks": [{"id": 9, "data": {"video": address}}]
    }
    answer = client.post("/predict", json=asked)
    assert (answer.status_code, answer.json()["error"]) == (502, "MediaUnreadable")
    assert named in answer.json()["detail"]


@pytest.mark.slow
def test_a_truncated_video_is_tracked_as_far_as_it_goes_with_a_note(client: httpx.Client) -> None:
    whole = demo.SAMPLE_CLIP.read_bytes()
    with_index_first = remuxed(whole)
    cut = (
        "data:video/x-matroska;base64,"
        + base64.b64encode(with_index_first[: len(with_index_first) * 2 // 3]).decode()
    )
    asked = body("", [region("o", keyframe(visible_frame(0), 0))], CONFIG) | {
        "tasks": [{"id": 10, "data": {"video": cut}}]
    }
    (answered,) = regions_of(client.post("/predict", json=asked))
    assert 5 < len(masks(answered)) < COUNT
    assert any("cut off" in line for line in answered["meta"]["text"])


def remuxed(video: bytes) -> bytes:
    """The clip as Matroska, which can be read without its end."""
    out = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(out, "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "ui_video_one_region_one_keyframe",
        pytest.param("ui_video_relabel_trigger", marks=pytest.mark.slow),
        pytest.param("ui_video_two_keyframes", marks=pytest.mark.slow),
    ],
)
def test_a_recorded_video_request_is_answered_in_its_own_shape(name: str) -> None:
    def reply(exchange: Exchange) -> None:
        exchange.reply(200, demo.SAMPLE_CLIP.read_bytes(), {"Content-Type": "video/mp4"})

    (recorded,) = json.loads((TRAFFIC / f"{name}.json").read_text())
    asked = recorded["body"]["params"]["context"]["result"]
    with (
        serving(Site(reply)) as label_studio,
        running(settings(label_studio_url=label_studio.url)) as address,
    ):
        answered = regions_of(httpx.post(address + "/predict", json=recorded["body"], timeout=60))
    assert [one["id"] for one in answered] == [one["id"] for one in asked]
    for one, other in zip(answered, asked, strict=True):
        assert (one["type"], one["from_name"], one["to_name"]) == ("videorectangle", "box", "video")
        assert one["value"]["labels"] == other["value"]["labels"]
        assert {frame["frame"] for frame in other["value"]["sequence"]} <= {
            f["frame"] for f in one["value"]["sequence"]
        }


@pytest.mark.slow
def test_what_is_finished_after_the_answer_is_stored_as_a_prediction_on_the_task() -> None:
    stored: list[dict[str, Any]] = []

    def reply(exchange: Exchange) -> None:
        if exchange.seen.method == "POST":
            stored.append(json.loads(exchange.seen.body))
            exchange.json(201, {"id": 1})
        else:
            exchange.reply(200, demo.SAMPLE_CLIP.read_bytes(), {"Content-Type": "video/mp4"})

    with serving(Site(reply)) as label_studio:
        given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
        with (
            running(settings(predict_budget=0.05, **given)) as address,
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            asked = body("", [region("p", keyframe(visible_frame(0), 0))], CONFIG)
            asked["tasks"] = [{"id": 77, "data": {"video": "/data/upload/1/clip.mp4"}}]
            client.post("/predict", json=asked)
            eventually(lambda: bool(stored), seconds=60)
            version = client.get("/ready").json()["model_version"]
    (prediction,) = stored
    assert (prediction["task"], prediction["model_version"]) == (77, version)
    assert mean_iou(prediction["result"][0], 0) > 0.75


@pytest.mark.slow
def test_a_version_that_is_tuned_to_the_project_follows_its_videos_too(tmp_path: Path) -> None:
    base, versions = demo_model(), Versions(tmp_path / "versions")
    decoder = copy.deepcopy(base.decoder)
    for mlp in decoder.output_hypernetworks_mlps:  # it sees a little less of everything
        mlp.layers[-1].weight.data *= 0.9
    with versions.training(1):
        tuned = versions.save(1, base, decoder, Verdict(True, "", {}), {})
    with (
        running(settings(model_cache=tmp_path)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        asked = body("", [region("q", keyframe(visible_frame(0), 0))], CONFIG)
        asked["tasks"] = [{"id": 5, "data": {"video": CLIP}}]

        def predicted() -> tuple[str, Region]:
            (prediction,) = client.post("/predict", json=asked).json()["results"]
            return prediction["model_version"], prediction["result"][0]

        first, before = predicted()
        versions.use(1, tuned.number)
        second, after = predicted()
    assert (first, second) == (base.version, f"{base.version}+{tuned.name}")
    assert after["value"] != before["value"]
    assert mean_iou(after, 0) > 0.6


@pytest.mark.slow
def test_where_more_tracks_are_asked_for_than_run_at_once_the_answer_says_how_many_are_before_it(
    hasty: httpx.Client,
) -> None:
    def asked(number: int) -> str:
        (answered,) = ask(hasty, region(f"r{number}", keyframe(visible_frame(0), 0)), task=1000 + number)
        return str(answered["meta"]["text"][0])

    with ThreadPoolExecutor(24) as threads:
        notes = list(threads.map(asked, range(24)))
    before = [note for note in notes if "before yours" in note]
    assert len(before) > 8
    assert all(int(note.removeprefix("SAM 2: ").split()[0]) >= 5 for note in before)
    assert all("click its label off and on again" in note for note in before)
    for job in hasty.get("/jobs").json()["jobs"]:
        hasty.delete(f"/jobs/{job['id']}")


def test_a_recording_with_an_absolute_clock_is_answered_with_a_few_keyframes(
    client: httpx.Client, tmp_path: Path
) -> None:
    """A small Matroska file that begins at hour 25, as its own duration says."""
    count = 90_000 * 25 + 6
    path = write_clip(
        tmp_path / "hours.mkv", frames=6, milliseconds=[90_000_000 + 40 * number for number in range(6)]
    )
    drawn = region("hours", keyframe(1, 0) | {"x": 10, "y": 10, "width": 60, "height": 60})
    drawn["value"] |= {"framesCount": count, "duration": count / 25}
    address = "data:video/x-matroska;base64," + base64.b64encode(path.read_bytes()).decode()
    asked = body("", [drawn], CONFIG.replace('framerate="12"', 'framerate="25"')) | {
        "tasks": [{"id": 40, "data": {"video": address}}]
    }
    (answered,) = regions_of(client.post("/predict", json=asked))
    assert len(answered["value"]["sequence"]) <= 8
    assert max(one["frame"] for one in answered["value"]["sequence"]) <= count
    assert answered["meta"]["tracked"] == [1, count]
    (note,) = answered["meta"]["text"]
    assert "begins 90000 s late" in note


def test_a_clip_whose_sound_is_longer_than_its_picture_is_not_called_cut_off_or_unfinished(
    client: httpx.Client, tmp_path: Path
) -> None:
    path = write_with_sound(tmp_path / "clip.mp4", frames=6, seconds=2)
    drawn = region("sound", keyframe(1, 0) | {"x": 10, "y": 10, "width": 60, "height": 60})
    drawn["value"] |= {"framesCount": 50, "duration": 2.0}
    address = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
    asked = body("", [drawn], CONFIG.replace('framerate="12"', 'framerate="25"')) | {
        "tasks": [{"id": 41, "data": {"video": address}}]
    }
    (answered,) = regions_of(client.post("/predict", json=asked))
    assert "text" not in answered["meta"]
    assert answered["meta"]["tracked"] == [1, 50]
    assert max(one["frame"] for one in answered["value"]["sequence"]) <= 6
    (again,) = regions_of(
        client.post("/predict", json=asked | {"params": {"context": {"result": [answered]}}})
    )
    assert again["value"] == answered["value"]
