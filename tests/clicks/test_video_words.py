"""Words on a video: over HTTP, with the demo model; the demo detector where it says so, else one that knows colours."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.errors import MediaUnreadable
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Bitmap, Pixels, Size
from pydantic import SecretStr

from demo_model.movies import write_movie
from tests.fakes.asking import Region, body, regions_of
from tests.fakes.asking_video import CLIP, COUNT, TRUTH, ask, keyframe, mean_iou, region, visible_frame
from tests.fakes.detectors import BACKGROUND, COLOURS, ColourDetector, with_words
from tests.fakes.eventually import eventually
from tests.fakes.servers import LEGACY, Exchange, Site, serving
from tests.fakes.settings import settings

TRAFFIC = Path(__file__).parents[1] / "traffic"
RATE = 12
CONFIG = f"""<View>
  <Labels name="labels" toName="video" allowEmpty="true">
    <Label value="Player" predicted_values="green, red"/><Label value="Ball" predicted_values="orange, blue"/>
  </Labels>
  <TextArea name="words" toName="video"/>
  <Video name="video" value="$video" framerate="{RATE}"/>
  <VideoRectangle name="box" toName="video" smart="true" model_find_every="1"/>
</View>"""
SIZE = Size(192, 256)
FRAMES = 30
COMES = 16
"""The first frame, from 0, on which the blue disc is drawn: between two looks, of which there is one each second."""


def drawn(frame: int) -> tuple[Pixels, dict[str, Bitmap]]:
    """Two discs that move to the right, of which the blue one comes later; and their masks."""
    pixels, masks = np.full((*SIZE, 3), BACKGROUND, np.uint8), {}
    places = {"red": (50 + 3 * frame, 60), "blue": (60 + 3 * (frame - COMES), 140)}
    for colour, place in places.items():
        mask = np.zeros(SIZE, np.uint8)
        if colour == "red" or frame >= COMES:
            cv2.circle(mask, place, 32, 1, -1)
        pixels[mask > 0] = COLOURS[colour]
        masks[colour] = mask > 0
    return pixels, masks


def truth(colour: str) -> list[Bitmap]:
    return [drawn(frame)[1][colour] for frame in range(FRAMES)]


def address_of(path: Path) -> str:
    return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the discs' video."""
    path = tmp_path_factory.mktemp("discs") / "discs.mp4"
    write_movie(path, (drawn(frame)[0] for frame in range(FRAMES)), RATE)
    return address_of(path)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """With the detector that knows colours."""
    with (
        with_words(settings()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def written(text: str, **more: Any) -> Region:
    """What the editor sends for a text field of a video."""
    value = {"text": [text]}
    item = {"id": "w", "type": "textarea", "from_name": "words", "to_name": "video", "value": value}
    return item | {"origin": "manual"} | more


def asked(video: str, *items: Region, config: str = CONFIG, task: int = 1) -> dict[str, Any]:
    return body("", list(items), config) | {"tasks": [{"id": task, "data": {"video": video}}]}


def find(client: httpx.Client, video: str, text: str, *, config: str = CONFIG, task: int = 1) -> list[Region]:
    """The tracked regions that words are answered with, and nothing else."""
    found = regions_of(client.post("/predict", json=asked(video, written(text), config=config, task=task)))
    assert all(one["type"] == "videorectangle" for one in found)
    return found


def masks(answered: Region) -> dict[int, Bitmap]:
    """By the frame, from 0."""
    return {
        one["frame"] - 1: coco_rle.decode(one["rle"]["counts"], Size(*one["rle"]["size"]))
        for one in answered["value"]["sequence"]
        if "rle" in one
    }


def mean_j(answered: Region, true: Sequence[Bitmap]) -> float:
    """Over the frames on which the object is visible."""
    found, nothing = masks(answered), np.zeros_like(true[0])
    visible = [frame for frame, mask in enumerate(true) if mask.any()]
    return float(np.mean([iou(found.get(frame, nothing), true[frame]) for frame in visible]))


def tracks(client: httpx.Client) -> list[dict[str, Any]]:
    return [job for job in client.get("/jobs").json()["jobs"] if job["kind"] == "track"]


def ended(client: httpx.Client) -> bool:
    return all(job["state"] not in ("queued", "running") for job in tracks(client))


def test_what_words_name_is_followed_with_its_label_score_and_a_mask_a_frame(
    client: httpx.Client, clip: str
) -> None:
    (red,) = find(client, clip, "red thing")
    assert (red["type"], red["from_name"], red["to_name"]) == ("videorectangle", "box", "video")
    assert (red["value"]["framesCount"], red["value"]["duration"]) == (FRAMES, FRAMES / RATE)
    assert red["value"]["labels"] == ["Player"]
    assert 0.5 < red["score"] < 1
    assert mean_j(red, truth("red")) > 0.85
    assert red["meta"]["tracked"] == [1, FRAMES]
    assert (tracks(client)[0]["state"], tracks(client)[0]["progress"]["done"]) == ("done", FRAMES)


@pytest.mark.slow
def test_what_comes_later_is_found_at_a_later_look_and_followed_back_to_where_it_came(
    client: httpx.Client, clip: str
) -> None:
    red, blue = find(client, clip, "red thing, blue thing")
    assert [one["value"]["labels"] for one in (red, blue)] == [["Player"], ["Ball"]]
    assert (min(masks(blue)), max(masks(blue))) == (COMES, FRAMES - 1)
    assert mean_j(blue, truth("blue")) > 0.85
    assert mean_j(red, truth("red")) > 0.85
    (found_at,) = [one["frame"] for one in blue["value"]["sequence"] if not one.get("auto")]
    assert found_at == 1 + 2 * RATE
    progress = tracks(client)[0]["progress"]
    assert progress["done"] == progress["total"]


def test_with_model_find_every_0_only_the_first_frame_is_looked_at(client: httpx.Client, clip: str) -> None:
    once = CONFIG.replace('model_find_every="1"', 'model_find_every="0"')
    (red,) = find(client, clip, "red thing, blue thing", config=once)
    assert red["value"]["labels"] == ["Player"]


@pytest.mark.slow
def test_the_same_words_again_give_the_same_regions_without_tracking_again(
    client: httpx.Client, clip: str
) -> None:
    first = find(client, clip, "blue thing", task=2)
    before = len(tracks(client))
    assert find(client, clip, "blue thing", task=2) == first
    assert len(tracks(client)) == before
    assert [one["id"] for one in find(client, clip, "blue thing", task=3)] == [one["id"] for one in first]


@pytest.mark.slow
def test_an_object_keeps_its_id_where_more_is_asked_for(client: httpx.Client, clip: str) -> None:
    (alone,) = find(client, clip, "blue thing", task=4)
    both = find(client, clip, "red thing, blue thing", task=4)
    assert alone["id"] in {one["id"] for one in both}


def test_what_words_found_can_be_asked_for_and_corrected_as_if_it_had_been_drawn(
    client: httpx.Client, clip: str
) -> None:
    """By a click on its label, for which the editor sends it back."""
    (blue,) = find(client, clip, "blue thing", task=5)
    (again,) = regions_of(client.post("/predict", json=asked(clip, blue, task=5)))
    assert again["value"] == blue["value"]
    moved = [one | {"y": one["y"] + 5} if one["frame"] == 28 else one for one in blue["value"]["sequence"]]
    changed = blue | {"value": blue["value"] | {"sequence": moved}}
    (corrected,) = regions_of(client.post("/predict", json=asked(clip, changed, task=5)))
    assert [one for one in corrected["value"]["sequence"] if one["frame"] < 28] == [
        one for one in blue["value"]["sequence"] if one["frame"] < 28
    ]
    (user,) = [one for one in corrected["value"]["sequence"] if one["frame"] == 28]
    assert user["y"] == moved[-3]["y"]


def beside(client: httpx.Client, clip: str, text: str, *in_draft: Region) -> list[str]:
    """The ids that words are answered with where the annotator's draft holds these regions; an older one holds none."""
    drafts = [
        {"result": list(in_draft), "updated_at": "2026-11-28T05:00:00Z"},
        {"result": [], "updated_at": "2026-11-27T05:00:00Z"},
    ]
    sent = asked(clip, written(text), task=7)
    sent["tasks"][0]["drafts"] = drafts
    return [one["id"] for one in regions_of(client.post("/predict", json=sent))]


@pytest.mark.slow
def test_a_track_that_was_changed_by_hand_is_left_as_it_is_where_words_are_added(
    client: httpx.Client, clip: str
) -> None:
    """The editor lets an answer take the place of its region of the same id."""
    (blue,) = find(client, clip, "blue thing", task=7)
    sequence = blue["value"]["sequence"]

    def changed(**value: Any) -> Region:
        return blue | {"value": blue["value"] | value}

    (there, last), at = (sequence[3], sequence[-1]), sequence[3]["frame"]
    moved = [one | {"x": one["x"] + 4} if one["frame"] == at else one for one in sequence]
    ended = [one | {"enabled": one is not there} for one in sequence]
    text = "blue thing, red thing"
    both = beside(client, clip, text)
    assert blue["id"] in both
    assert len(both) == 2
    assert beside(client, clip, text, blue) == both
    others = [one for one in both if one != blue["id"]]
    for by_hand in (changed(labels=["Player"]), changed(sequence=moved), changed(sequence=ended)):
        assert beside(client, clip, text, by_hand) == others
    assert last["frame"] == FRAMES


@pytest.mark.slow
def test_what_the_annotator_has_a_track_around_is_not_answered_under_another_id(
    client: httpx.Client, clip: str
) -> None:
    (blue,) = find(client, clip, "blue thing", task=7)
    text = "blue disc, red disc"
    (red,) = beside(client, clip, text, blue)
    assert red in beside(client, clip, text)
    assert len(beside(client, clip, text)) == 2
    damaged = blue | {"value": {"sequence": "none"}}
    assert len(beside(client, clip, text, damaged, {"type": "videorectangle"}, 3)) == 2  # type: ignore[arg-type]


def test_frames_are_counted_at_the_tags_rate(client: httpx.Client, clip: str) -> None:
    slow = CONFIG.replace(f'framerate="{RATE}"', 'framerate="5"')
    (blue,) = find(client, clip, "blue thing", config=slow)
    value = blue["value"]
    count = value["framesCount"]
    assert (count, value["duration"]) == (13, 2.6)
    assert max(one["frame"] for one in value["sequence"]) <= count
    shown = truth("blue")
    for number, mask in masks(blue).items():
        assert iou(mask, shown[int(number * RATE / 5)]) > 0.8


@pytest.mark.slow
def test_a_region_without_a_label_says_why_and_with_model_label_or_one_label_it_has_that(
    client: httpx.Client, clip: str
) -> None:
    more = CONFIG.replace('predicted_values="green, red"', "")
    (bare,) = find(client, clip, "red thing", config=more, task=6)
    assert "labels" not in bare["value"]
    assert 'for example "Player: red thing"' in client.get("/").json()["problems"]["1"]["detail"]
    given = more.replace("model_find_every", 'model_label="Ball" model_find_every')
    (named,) = find(client, clip, "red thing", config=given, task=6)
    assert named["value"]["labels"] == ["Ball"]
    only = more.replace('<Label value="Ball" predicted_values="orange, blue"/>', "")
    (one,) = find(client, clip, "red thing", config=only, task=6)
    assert one["value"]["labels"] == ["Player"]
    assert client.get("/").json()["problems"] == {}


@pytest.mark.slow
def test_options_of_the_project_hold_for_words_too(client: httpx.Client, clip: str) -> None:
    def option(said: str) -> str:
        return CONFIG.replace("model_find_every", f"{said} model_find_every")

    strict = option('model_score_threshold="0.95"')
    assert find(client, clip, "red thing", config=strict) == []
    assert len(find(client, clip, "red thing, blue thing", config=option('model_regions="1"'))) == 1
    (lean,) = find(client, clip, "red thing", config=option('model_masks="false"'))
    assert not masks(lean)
    assert len(lean["value"]["sequence"]) < FRAMES


def test_what_isnt_there_is_answered_with_no_region(client: httpx.Client, clip: str) -> None:
    assert find(client, clip, "yellow thing") == []
    assert tracks(client)[0]["state"] == "done"


@pytest.mark.parametrize(
    "beside",
    [
        region("a", keyframe(1, 1)),
        written("red", to_name="image", name="other", from_name="other"),
        {"id": "k", "type": "keypointlabels", "to_name": "image", "value": {"x": 1, "y": 1}},
    ],
)
def test_words_on_a_video_beside_anything_else_are_refused_in_a_sentence(
    client: httpx.Client, clip: str, beside: Region
) -> None:
    config = CONFIG.replace("<View>", '<View><Image name="image" value="$image"/>')
    answer = client.post("/predict", json=asked(clip, written("red"), beside, config=config))
    assert (answer.status_code, answer.json()["error"]) == (400, "PromptError")
    assert "on a video alone" in answer.json()["detail"]


def test_other_results_of_the_video_are_passed_over(client: httpx.Client, clip: str) -> None:
    choice = {"id": "c", "type": "choices", "from_name": "q", "to_name": "video", "value": {"choices": ["x"]}}
    regions = regions_of(client.post("/predict", json=asked(clip, choice, written("red thing"))))
    assert [one["type"] for one in regions] == ["videorectangle"]


def test_without_a_tag_to_show_tracks_on_a_sentence_names_it_here_and_in_the_configs_check(
    client: httpx.Client, clip: str
) -> None:
    bare = '<View><Video name="video" value="$video" framerate="12"/><TextArea name="words" toName="video"/></View>'
    answer = client.post("/predict", json=asked(clip, written("red"), config=bare))
    assert (answer.status_code, answer.json()["error"]) == (400, "LabelConfigError")
    assert 'Add <VideoRectangle name="box" toName="video"' in answer.json()["detail"]
    (problem,) = labeling_config.lint(bare)
    assert problem.severity == "error"
    assert "<VideoRectangle" in problem.remedy
    beside = bare.replace("<View>", '<View><Image name="image" value="$image"/>').replace(
        "</View>",
        '<BrushLabels name="b" toName="image" smart="false"><Label value="Car"/></BrushLabels></View>',
    )
    assert any('"words" of "video"' in one.sentence for one in labeling_config.lint(beside))


@pytest.fixture(scope="module")
def hasty() -> Iterator[httpx.Client]:
    """A service that answers a video almost at once, whatever is found by then."""
    with (
        with_words(settings(predict_budget=0.05)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


@pytest.mark.slow
def test_what_does_not_fit_the_budget_goes_on_and_is_there_for_the_same_words(
    hasty: httpx.Client, clip: str
) -> None:
    first = find(hasty, clip, "red thing, blue thing", task=10)
    if first:  # a machine that is fast enough to have found something
        assert any("add the words again for the rest" in line for line in first[0]["meta"]["text"])
    else:
        assert "add the words again" in hasty.get("/").json()["problems"]["1"]["detail"]
    eventually(lambda: ended(hasty), seconds=60)
    second = find(hasty, clip, "red thing, blue thing", task=10)
    assert [one["meta"].get("text") for one in second] == [None, None]
    assert {one["id"] for one in first} <= {one["id"] for one in second}
    assert mean_j(second[1], truth("blue")) > 0.85
    assert hasty.get("/").json()["problems"] == {}


class Paused(ColourDetector):
    """Its second look lasts until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = Event()

    def look(self, prepared: Any) -> Any:
        assert not self.looked or self.go_on.wait(60)
        return super().look(prepared)


@pytest.mark.slow
def test_what_is_followed_by_then_is_answered_and_says_how_to_get_the_rest(clip: str) -> None:
    detector = Paused()
    with (
        with_words(settings(predict_budget=0.05), detector) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        answers: list[list[Region]] = []

        def followed() -> bool:
            answers.append(find(client, clip, "red thing, blue thing"))
            return any("frames 1-13 of 30" in line for one in answers[-1] for line in one["meta"]["text"])

        eventually(followed, seconds=60)
        (red,) = answers[-1]
        assert red["meta"]["text"] == ["SAM 2: frames 1-13 of 30; add the words again for the rest"]
        assert sorted(masks(red)) == [*range(13)]
        detector.go_on.set()
        eventually(lambda: ended(client), seconds=60)
        again, blue = find(client, clip, "red thing, blue thing")
        assert (again["id"], again["meta"]["tracked"]) == (red["id"], [1, FRAMES])
        assert "text" not in again["meta"]
        assert len(tracks(client)) == 1
        assert mean_j(blue, truth("blue")) > 0.85


def test_newer_words_of_a_task_take_the_place_of_older_ones_and_a_cancelled_search_is_done_anew(
    hasty: httpx.Client, clip: str
) -> None:
    find(hasty, clip, "red thing", task=11)
    find(hasty, clip, "blue thing", task=11)
    newest, older = tracks(hasty)[:2]
    hasty.delete(f"/jobs/{newest['id']}")
    eventually(lambda: ended(hasty), seconds=60)
    states = {job["id"]: job["state"] for job in tracks(hasty)}
    assert (states[older["id"]], states[newest["id"]]) == ("cancelled", "cancelled")
    find(hasty, clip, "blue thing", task=11)
    eventually(lambda: ended(hasty), seconds=60)
    assert tracks(hasty)[0]["state"] == "done"
    (blue,) = find(hasty, clip, "blue thing", task=11)
    assert mean_j(blue, truth("blue")) > 0.85


@pytest.mark.slow
def test_what_is_found_after_the_answer_is_stored_as_a_prediction(clip: str) -> None:
    stored: list[dict[str, Any]] = []

    def reply(exchange: Exchange) -> None:
        stored.append(json.loads(exchange.seen.body))
        exchange.json(201, {"id": 1})

    with serving(Site(reply)) as label_studio:
        given = {"label_studio_url": label_studio.url, "label_studio_api_key": SecretStr(LEGACY)}
        with (
            with_words(settings(predict_budget=0.05, **given)) as address,
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            find(client, clip, "blue thing", task=77)
            eventually(lambda: bool(stored), seconds=60)
    (prediction,) = stored
    (blue,) = prediction["result"]
    assert prediction["task"] == 77
    assert mean_j(blue, truth("blue")) > 0.85


@pytest.mark.slow
def test_with_the_demo_detector_two_objects_of_two_colours_are_followed_as_from_boxes() -> None:
    """What a box of the annotator's reaches on the same clip, less a hundredth."""
    with (
        running(settings()) as address,
        httpx.Client(base_url=address, timeout=90, trust_env=False) as client,
    ):
        found = {one["value"]["labels"][0]: one for one in find(client, CLIP, "green thing, orange thing")}
        boxed = [
            ask(client, region(f"b{thing}", keyframe(visible_frame(thing), thing)), task=2 + thing)[0]
            for thing in (0, 1)
        ]
    assert len(found) == 2
    for thing, label in enumerate(("Ball", "Player")):
        assert mean_iou(found[label], thing) > mean_iou(boxed[thing], thing) - 0.01
        assert found[label]["value"]["framesCount"] == COUNT


@pytest.mark.slow
def test_with_the_demo_detector_an_object_that_comes_later_is_found_and_followed(tmp_path: Path) -> None:
    """The sample clip from a frame on where one of its objects is hidden."""
    hidden = next(frame for frame in range(COUNT) if not TRUTH[frame, 0].any())
    video = Video.open(demo.SAMPLE_CLIP)
    write_movie(tmp_path / "later.mp4", video.frames(range(hidden, COUNT)), RATE)
    with (
        running(settings()) as address,
        httpx.Client(base_url=address, timeout=90, trust_env=False) as client,
    ):
        found = find(client, address_of(tmp_path / "later.mp4"), "green thing, orange thing")
    assert [one["value"]["labels"] for one in found] == [["Player"], ["Ball"]]
    for one, thing in zip(found, (1, 0), strict=True):
        assert mean_j(one, list(TRUTH[hidden:, thing])) > 0.9


def test_the_recorded_video_project_is_answered_with_the_item_that_was_measured(clip: str) -> None:
    """The recording holds the request of an empty field; the item is the one that a picture's field was seen to send,
    and a video's, too."""
    video = base64.b64decode(clip.partition(",")[2])

    def reply(exchange: Exchange) -> None:
        exchange.reply(200, video, {"Content-Type": "video/mp4"})

    (recorded,) = json.loads((TRAFFIC / "ui_textarea_video.json").read_text())
    (on_picture,) = json.loads((TRAFFIC / "ui_textarea_prompt.json").read_text())
    (item,) = on_picture["body"]["params"]["context"]["result"]
    item |= {"to_name": "video", "value": {"text": ["Player: red car"]}}
    sent = recorded["body"]
    with (
        serving(Site(reply)) as label_studio,
        with_words(settings(label_studio_url=label_studio.url)) as address,
    ):
        assert regions_of(httpx.post(address + "/predict", json=sent, timeout=60)) == []
        sent["params"]["context"]["result"] = [item]
        (found,) = regions_of(httpx.post(address + "/predict", json=sent, timeout=60))
    assert (found["from_name"], found["to_name"], found["type"]) == ("box", "video", "videorectangle")
    assert found["value"]["labels"] == ["Player"]
    assert (found["value"]["framesCount"], found["value"]["duration"]) == (63, 63 / 25)
    assert max(one["frame"] for one in found["value"]["sequence"]) <= 63


class Failing(ColourDetector):
    """Looks at so many frames, then fails, until it is mended."""

    def __init__(self, looks: int, error: Exception) -> None:
        super().__init__()
        self.left, self.error = looks, error

    def look(self, prepared: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().look(prepared)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("device-side assert"), "Tracking failed unexpectedly"),
        (MediaUnreadable("Frame 12 can't be decoded; the file is damaged."), "Frame 12 can't be decoded"),
    ],
)
def test_a_search_that_fails_on_its_way_answers_what_it_found_says_so_and_is_done_anew_when_asked_again(
    clip: str, error: Exception, said: str
) -> None:
    detector = Failing(1, error)
    with (
        with_words(settings(), detector) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        (red,) = find(client, clip, "red thing, blue thing")
        assert max(masks(red)) == RATE
        assert any(said in line for line in red["meta"]["text"])
        assert f"Task 1: {said}" in client.get("/").json()["problems"]["1"]["detail"]
        detector.left = 9
        again = find(client, clip, "red thing, blue thing")
        assert [one["id"] for one in again][:1] == [red["id"]]
        assert len(again) == 2
        assert client.get("/").json()["problems"] == {}


def test_a_search_that_fails_at_once_is_an_error_with_a_sentence(clip: str) -> None:
    with (
        with_words(settings(), Failing(0, RuntimeError("device-side assert"))) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        answer = client.post("/predict", json=asked(clip, written("red thing")))
    assert answer.status_code == 500
    assert "Tracking failed unexpectedly" in answer.json()["detail"]
    assert "device-side assert" not in answer.text
