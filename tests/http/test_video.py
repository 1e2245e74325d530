from __future__ import annotations

import base64
import copy
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.commands.running import running
from label_studio_sam2.engine.versions import Versions
from label_studio_sam2.gate import Verdict
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio import coco_rle
from label_studio_sam2.types import Bitmap, Size
from pydantic import SecretStr

from tests.engine.clips import without_times, write_clip, write_sound
from tests.engine.networks import demo_model
from tests.eventually import eventually
from tests.http.asking import Region, body, regions_of
from tests.http.conftest import settings
from tests.labelstudio.servers import LEGACY, Exchange, Site, serving

TRAFFIC = Path(__file__).parents[1] / "traffic"

CONFIG = """<View>
  <Labels name="labels" toName="video" allowEmpty="true"><Label value="Player"/><Label value="Ball"/></Labels>
  <Video name="video" value="$video" framerate="12"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>"""
CLIP = "data:video/mp4;base64," + base64.b64encode(demo.SAMPLE_CLIP.read_bytes()).decode()
TRUTH = demo.sample_clip_masks()
COUNT, OBJECTS, *_ = TRUTH.shape
SIZE = Size(*TRUTH.shape[2:])


def keyframe(frame: int, thing: int) -> dict[str, Any]:
    """The true box of an object on one of Label Studio's frames."""
    ys, xs = np.nonzero(TRUTH[frame - 1, thing])
    left, right, top, bottom = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    return {
        "frame": frame,
        "enabled": True,
        "rotation": 0,
        "x": float(100 * left / SIZE.width),
        "y": float(100 * top / SIZE.height),
        "width": float(100 * (right - left) / SIZE.width),
        "height": float(100 * (bottom - top) / SIZE.height),
        "time": frame / 12,
    }


def region(name: str, *sequence: dict[str, Any]) -> Region:
    value = {"framesCount": COUNT, "duration": COUNT / 12, "sequence": list(sequence), "labels": ["Player"]}
    return {
        "id": name,
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
        "origin": "manual",
        "value": value,
    }


def ask(client: httpx.Client, *regions: Region, config: str = CONFIG, task: int = 1) -> list[Region]:
    asked = body("", list(regions), config) | {"tasks": [{"id": task, "data": {"video": CLIP}}]}
    return regions_of(client.post("/predict", json=asked))


def masks(answered: Region) -> dict[int, Bitmap]:
    """By Label Studio's frame."""
    return {
        one["frame"]: coco_rle.decode(one["rle"]["counts"], SIZE)
        for one in answered["value"]["sequence"]
        if "rle" in one
    }


def mean_iou(answered: Region, thing: int) -> float:
    """J over the frames on which the object is visible."""
    found = masks(answered)
    nothing = np.zeros(SIZE, np.bool_)
    visible = [frame for frame in range(1, COUNT + 1) if TRUTH[frame - 1, thing].any()]
    return float(np.mean([iou(found.get(frame, nothing), TRUTH[frame - 1, thing]) for frame in visible]))


def visible_frame(thing: int, *, after: int = 0) -> int:
    return next(frame for frame in range(after + 1, COUNT + 1) if TRUTH[frame - 1, thing].sum() > 500)


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
    assert list(masks(answered)) == list(range(last, COUNT + 1))[: len(masks(answered))]


@pytest.mark.slow
def test_two_objects_are_followed_each_by_itself(client: httpx.Client) -> None:
    one, other = ask(
        client, *[region(f"e{thing}", keyframe(visible_frame(thing), thing)) for thing in (0, 1)]
    )
    (alone,) = ask(client, region("e-alone", keyframe(visible_frame(0), 0)))
    assert (one["id"], other["id"]) == ("e0", "e1")
    assert one["value"]["sequence"] == alone["value"]["sequence"]
    assert mean_iou(other, 1) > 0.7


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


def test_without_masks_keyframes_are_thinned(client: httpx.Client) -> None:
    lean = CONFIG.replace('name="box"', 'name="box" model_masks="false"')
    (full,) = ask(client, region("j", keyframe(visible_frame(0), 0)))
    (thinned,) = ask(client, region("j", keyframe(visible_frame(0), 0)), config=lean)
    assert masks(thinned) == {}
    assert 1 < len(thinned["value"]["sequence"]) < len(full["value"]["sequence"])


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
    assert any("click the label again" in line for line in first["meta"]["text"])
    eventually(lambda: finished(hasty), seconds=60)
    (job,) = [one for one in hasty.get("/jobs").json()["jobs"] if one["kind"] == "track"]
    assert job["state"] == "done"
    assert job["progress"]["done"] == job["progress"]["total"]
    (second,) = ask(hasty, first)
    assert second["meta"]["tracked"] == [1, COUNT]
    assert "text" not in second["meta"]
    assert mean_iou(second, 0) > 0.75


def test_a_track_can_be_cancelled_and_what_was_tracked_stays(hasty: httpx.Client) -> None:
    (first,) = ask(hasty, region("l", keyframe(visible_frame(1), 1)), task=2)
    job = next(one for one in hasty.get("/jobs").json()["jobs"] if one["kind"] == "track")
    hasty.delete(f"/jobs/{job['id']}")
    eventually(lambda: finished(hasty), seconds=60)
    assert hasty.get(f"/jobs/{job['id']}").json()["state"] in ("cancelled", "done")
    assert first["id"] == "l"


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
    assert (first, second) == (base.version, f"{base.version}+project1.v1")
    assert after["value"] != before["value"]
    assert mean_iou(after, 0) > 0.6
