from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.context import Context
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions import words
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Bitmap, Pixels, Size

from tests.fakes.asking import Region, body, box, click, data_url, inside, mask_of, regions_of
from tests.fakes.detectors import BACKGROUND, COLOURS, ColourDetector, with_words
from tests.fakes.eventually import eventually
from tests.fakes.redis_server import RedisServer
from tests.fakes.settings import settings

SIZE = Size(300, 400)
LABELS = '<Label value="Car"/><Label value="Person" predicted_values="man, woman"/><Label value="B-7" alias="bin"/>'
CONFIG = f"""<View>
  <Image name="image" value="$image"/>
  <TextArea name="prompt" toName="image"/>
  <TextArea name="caption" toName="image" perRegion="true"/>
  <BrushLabels name="brush" toName="image" smart="false">{LABELS}</BrushLabels>
  <RectangleLabels name="outline" toName="image" smart="false">{LABELS}</RectangleLabels>
  <KeyPointLabels name="click" toName="image" smart="true">{LABELS}</KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true" model_similar="true">{LABELS}</RectangleLabels>
</View>"""
PLACES = {"red": (80, 80), "blue": (300, 80), "green": (80, 220), "yellow": (300, 220)}


def painted(**discs: tuple[int, int]) -> tuple[Pixels, dict[str, Bitmap]]:
    """Discs of the detector's colours, by name (a number behind it doesn't matter), and their masks."""
    pixels = np.full((*SIZE, 3), BACKGROUND, np.uint8)
    masks = {}
    for name, place in discs.items():
        mask = np.zeros(SIZE, np.uint8)
        cv2.circle(mask, place, 45, 1, -1)
        pixels[mask > 0] = COLOURS[name.rstrip("0123456789")]
        masks[name] = mask > 0
    return pixels, masks


def written(*texts: str, name: str = "prompt", **more: Any) -> Region:
    """What the editor sends for a text field."""
    value = {"text": list(texts)}
    return {"id": "w", "type": "textarea", "from_name": name, "to_name": "image", "value": value} | more


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with (
        with_words(settings()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def found(client: httpx.Client, picture: Any, *drawn: Region, config: str = CONFIG) -> list[Region]:
    """The regions that draw something."""
    answer = regions_of(client.post("/predict", json=body(picture, drawn, config)))
    return [region for region in answer if region["type"] != "textarea"]


def brushed(regions: list[Region]) -> list[Region]:
    return [region for region in regions if region["from_name"] == "brush"]


def test_each_phrase_becomes_masks_of_all_that_it_names_on_every_output_tag(client: httpx.Client) -> None:
    pixels, masks = painted(red1=(80, 80), red2=(300, 80), blue=(80, 220))
    regions = found(client, data_url(pixels), written("red car, blue woman"))
    assert [(one["from_name"], one["value"][one["type"]]) for one in regions] == [
        (name, [label]) for label in ("Car", "Car", "Person") for name in ("brush", "outline")
    ]
    overlaps = [[iou(mask_of(one), mask) for mask in masks.values()] for one in brushed(regions)]
    assert sorted(int(np.argmax(row)) for row in overlaps) == [0, 1, 2]
    assert min(max(row) for row in overlaps) > 0.8
    assert all(0.5 < one["score"] < 1 for one in regions)
    assert len({one["id"] for one in regions}) == 6


def test_all_that_was_added_is_asked_for_and_the_words_come_back(client: httpx.Client) -> None:
    asked = written("red car", "blue\nCar: green", origin="manual")
    answer = regions_of(client.post("/predict", json=body(data_url(painted(**PLACES)[0]), [asked], CONFIG)))
    assert sorted(one["value"]["brushlabels"] for one in brushed(answer)) == [[], ["Car"], ["Car"]]
    assert answer[-1] == written("red car", "blue\nCar: green")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("red car, van", [("red car", "Car"), ("van", None)]),
        ("Car: red car, van\nvan", [("red car", "Car"), ("van", "Car"), ("van", None)]),
        ("person", [("person", "Person")]),
        ("two MEN; a man", [("two MEN", None), ("a man", "Person")]),
        ("big cars", [("big cars", "Car")]),
        ("car man", [("car man", "Person")]),
        ("carpet", [("carpet", None)]),
        ("b-7", [("b-7", "bin")]),
        ("Bin:", [("bin", "bin")]),
        ("Dog: puppy", [("puppy", None)]),
        ("red car,, red  CAR ,", [("red car", "Car")]),
        (" \n,", []),
    ],
)
def test_a_phrase_means_the_label_that_it_says_or_that_is_called_so(
    text: str, expected: list[tuple[str, str | None]]
) -> None:
    phrases = words.parse([text], labeling_config.parse(CONFIG), "image")
    assert [(phrase.words, phrase.label) for phrase in phrases] == expected
    assert all(bool(phrase.lacking) == (phrase.label is None) for phrase in phrases)


PLAIN = st.text(st.sampled_from("abc -'é"), min_size=1, max_size=12).filter(str.strip)


@given(st.lists(st.tuples(PLAIN, st.sampled_from(["Car", "Person", "bin"])), max_size=6))
def test_phrases_that_are_written_into_the_field_read_as_themselves(said: list[tuple[str, str]]) -> None:
    config = labeling_config.parse(CONFIG)
    asked = words.parse([f"{label}: {phrase}" for phrase, label in said], config, "image")
    item = words.written(asked, config, "image")
    assert item is not None
    assert sorted(words.parse(item["value"]["text"], config, "image")) == sorted(asked)


def test_with_one_label_or_model_label_every_word_means_it(client: httpx.Client) -> None:
    picture = data_url(painted(**PLACES)[0])
    for config in (
        CONFIG.replace(LABELS, '<Label value="Thing"/>'),
        CONFIG.replace('name="brush"', 'name="brush" model_label="Thing"'),
    ):
        regions = found(client, picture, written("red"), config=config)
        assert [one["value"]["brushlabels"] for one in brushed(regions)] == [["Thing"]]
        assert client.get("/").json()["problems"] == {}


def test_a_region_without_a_label_says_why_among_the_projects_problems(client: httpx.Client) -> None:
    picture = data_url(painted(**PLACES)[0])
    (region,) = brushed(found(client, picture, written("red thing")))
    assert region["value"]["brushlabels"] == []
    assert 'for example "Car: red thing"' in client.get("/").json()["problems"]["1"]["detail"]
    assert brushed(found(client, picture, written("Car: red thing")))
    assert client.get("/").json()["problems"] == {}


def test_a_separate_labels_tag_names_what_words_find(client: httpx.Client) -> None:
    config = f"""<View><Image name="image" value="$image"/><Labels name="labels" toName="image">{LABELS}</Labels>
      <Brush name="brush" toName="image" smart="false"/><TextArea name="prompt" toName="image"/></View>"""
    drawn, named = found(client, data_url(painted(**PLACES)[0]), written("red car"), config=config)
    assert drawn["id"] == named["id"]
    assert (named["type"], named["value"]["labels"]) == ("labels", ["Car"])


def test_of_a_list_each_picture_is_searched_unless_the_words_name_one(client: httpx.Client) -> None:
    config = CONFIG.replace('value="$image"', 'valueList="$image"')
    pictures = [data_url(painted(red=place)[0]) for place in ((80, 80), (300, 220))]
    every = brushed(found(client, pictures, written("red car"), config=config))
    assert [one["item_index"] for one in every] == [0, 1]
    (one,) = brushed(found(client, pictures, written("red car", item_index=1), config=config))
    assert one["item_index"] == 1
    assert mask_of(one)[220, 300]


def test_a_thing_that_two_phrases_name_is_answered_once(client: httpx.Client) -> None:
    regions = brushed(found(client, data_url(painted(red=(80, 80))[0]), written("red car, blue and red man")))
    assert [one["value"]["brushlabels"] for one in regions] == [["Car"]]


def test_what_isnt_there_is_answered_with_the_words_alone(client: httpx.Client) -> None:
    asked = body(data_url(painted(red=(80, 80))[0]), [written("green car")], CONFIG)
    assert regions_of(client.post("/predict", json=asked)) == [written("green car")]


def test_other_texts_and_choices_of_the_picture_ask_for_nothing(client: httpx.Client) -> None:
    choice = {
        "id": "c",
        "type": "choices",
        "from_name": "q",
        "to_name": "image",
        "value": {"choices": ["red"]},
    }
    config = CONFIG.replace("</View>", '<TextArea name="note" toName="image"/></View>')
    picture = data_url(painted(red=(80, 80))[0])
    texts = [choice, written("red", name="caption"), written("red", name="note")]
    assert found(client, picture, *texts, config=config) == []
    (problem,) = labeling_config.lint(config)
    assert '"note"' in problem.sentence


def test_the_threshold_and_the_number_of_regions_are_the_projects(client: httpx.Client) -> None:
    picture = data_url(painted(red1=(80, 80), red2=(300, 80), red3=(80, 220))[0])
    strict = CONFIG.replace('name="brush"', 'name="brush" model_score_threshold="0.95"')
    assert found(client, picture, written("red car"), config=strict) == []
    two = CONFIG.replace('name="brush"', 'name="brush" model_regions="2"')
    assert len(brushed(found(client, picture, written("red car"), config=two))) == 2


def test_clicks_beside_words_are_answered_too(client: httpx.Client) -> None:
    pixels, masks = painted(red=(80, 80), blue=(300, 220))
    clicked = click(*inside(masks["blue"]), SIZE, label="Person")
    regions = brushed(found(client, data_url(pixels), written("red car"), clicked))
    assert [one["value"]["brushlabels"] for one in regions] == [["Car"], ["Person"]]
    assert iou(mask_of(regions[1]), masks["blue"]) > 0.7


def test_a_box_of_a_smart_rectangle_that_says_so_asks_for_all_that_is_like_it(client: httpx.Client) -> None:
    pixels, masks = painted(red1=(80, 80), red2=(300, 80), red3=(80, 220), blue=(300, 220))
    example = box(35, 35, 125, 125, SIZE)
    regions = brushed(found(client, data_url(pixels), example))
    assert [one["value"]["brushlabels"] for one in regions] == [["Car"]] * 3
    reds = [masks[name] for name in ("red1", "red2", "red3")]
    assert iou(mask_of(regions[0]), reds[0]) > 0.8
    assert min(max(iou(mask_of(one), red) for one in regions) for red in reds) > 0.8
    (alone,) = brushed(
        found(client, data_url(pixels), example, config=CONFIG.replace(' model_similar="true"', ""))
    )
    assert iou(mask_of(alone), reds[0]) > 0.8


def test_what_is_like_another_labels_box_isnt_meant(client: httpx.Client) -> None:
    pixels, masks = painted(red1=(80, 80), red2=(300, 80), blue1=(80, 220), blue2=(300, 220))
    regions = brushed(
        found(
            client,
            data_url(pixels),
            box(35, 35, 125, 125, SIZE),
            box(35, 175, 125, 265, SIZE, label="Person"),
        )
    )
    for label, colour in (("Car", "red"), ("Person", "blue")):
        own = [one for one in regions if one["value"]["brushlabels"] == [label]]
        assert len(own) == 2
        assert all(any(iou(mask_of(one), masks[f"{colour}{n}"]) > 0.8 for n in (1, 2)) for one in own)


def test_a_pictures_second_question_costs_no_look_also_in_another_process(redis_server: RedisServer) -> None:
    picture, shared = data_url(painted(red=(80, 80), blue=(300, 80))[0]), settings(redis_url=redis_server.url)
    first, second = ColourDetector(), ColourDetector()
    with with_words(shared, first) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert len(brushed(found(client, picture, written("red car")))) == 1
        assert len(brushed(found(client, picture, written("blue car, red car")))) == 2
        assert first.read_phrases == ["red car", "blue car"]
        assert 'sam2_words_cache{kind="memory"} 1.0' in client.get("/metrics").text
    with with_words(shared, second) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert len(brushed(found(client, picture, written("red car")))) == 1
        assert 'sam2_words_cache{kind="redis"} 1.0' in client.get("/metrics").text
    assert (first.looked, second.looked) == (1, 0)


def test_an_opened_tasks_picture_is_looked_at_ahead_once_words_were_asked_for() -> None:
    first, second = (data_url(painted(red=place)[0]) for place in ((80, 80), (300, 220)))
    detector = ColourDetector()
    with (
        with_words(settings(), detector) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        client.post("/predict", json=body(first, None, CONFIG))
        assert len(brushed(found(client, first, written("red car")))) == 1
        client.post("/predict", json=body(second, None, CONFIG))
        eventually(lambda: detector.looked == 2)
        assert len(brushed(found(client, second, written("red car")))) == 1
        assert detector.looked == 2


def test_a_detector_is_opened_by_the_first_words_and_says_what_it_lacks() -> None:
    opened: list[bool] = []

    def lacking(_settings: object, _tell: object) -> Any:
        opened.append(True)
        raise CheckpointError("DETECTOR=x isn't there. Use demo.")

    context = Context(settings(), open_words=lacking)
    with (
        running(settings(), context=context) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        picture = data_url(painted(red=(80, 80))[0])
        regions_of(client.post("/predict", json=body(picture, [click(80, 80, SIZE)], CONFIG)))
        assert not opened
        for _ in range(2):
            answer = client.post("/predict", json=body(picture, [written("red car")], CONFIG))
            assert (answer.status_code, answer.json()["detail"]) == (503, "DETECTOR=x isn't there. Use demo.")
    assert len(opened) == 2


def test_more_phrases_than_can_be_asked_for_are_refused_in_a_sentence(client: httpx.Client) -> None:
    asked = written(", ".join(f"thing {number}" for number in range(1001)))
    answer = client.post("/predict", json=body("", [asked], CONFIG))
    assert answer.status_code == 400
    assert "At most 1000 phrases" in answer.json()["detail"]
