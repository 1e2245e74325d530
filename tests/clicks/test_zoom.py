"""What is small in a large picture gets a second look, and a picture that is too large is read in parts, over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import cv2
import httpx
import numpy as np
import pytest
from label_studio_sam2.engine.image.zoom import MOST_WINDOWS
from label_studio_sam2.geometry import iou, tight_box
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Bitmap, Pixels, Size

from demo_model.scenes import background, random_sprite, scene_rng
from demo_model.sprites import Pose
from demo_model.textures import Style
from tests.fakes.asking import (
    CONFIG,
    batch,
    body,
    box,
    click,
    data_url,
    inside,
    mask_of,
    regions_of,
    results_of,
    task,
)
from tests.fakes.detectors import BACKGROUND, COLOURS, with_words
from tests.fakes.settings import settings
from tests.fakes.tiffs import tiled

SIZE = Size(1500, 2000)
OFF = CONFIG.replace('name="brush"', 'name="brush" model_zoom="false"')


@pytest.fixture(scope="module")
def service() -> Iterator[httpx.Client]:
    with (
        running(settings()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def picture() -> tuple[Pixels, list[Bitmap]]:
    """A small object, one beside it, and a large one."""
    style = Style("held_out", "plain")
    rng = scene_rng(7, style)
    canvas = background(rng, style, np.array([90.0, 120.0, 90.0]), SIZE.width, SIZE.height)
    poses = (Pose(0.52, 0.5, 0.012), Pose(0.56, 0.5, 0.012), Pose(1.0, 0.5, 0.22))
    for label, pose in enumerate(poses, start=1):
        canvas.paint(random_sprite(rng, style, [np.array([90.0, 120.0, 90.0])], label, 0.0), pose)
    return canvas.rgb, [canvas.labels == label for label in (1, 2, 3)]


PIXELS, (SMALL, BESIDE, LARGE) = picture()
ADDRESS = data_url(PIXELS)


def clicked(client: httpx.Client, *prompts: dict[str, object], config: str = CONFIG) -> Bitmap:
    (region,) = regions_of(client.post("/predict", json=body(ADDRESS, list(prompts), config)))
    return mask_of(region)


def encoded(client: httpx.Client) -> int:
    return int(client.get("/").json()["cache"]["encoded"])


def boxed(mask: Bitmap) -> dict[str, object]:
    around = tight_box(mask)
    assert around is not None
    return box(*around, SIZE)


def test_a_small_object_is_found_by_a_click_and_by_a_box_as_one_look_alone_does_not(
    service: httpx.Client,
) -> None:
    at = click(*inside(SMALL), SIZE)
    assert iou(clicked(service, at), SMALL) > iou(clicked(service, at, config=OFF), SMALL) + 0.15
    assert (
        iou(clicked(service, boxed(SMALL)), SMALL)
        > iou(clicked(service, boxed(SMALL), config=OFF), SMALL) + 0.1
    )
    assert iou(clicked(service, boxed(SMALL)), SMALL) > 0.8


def test_a_large_object_is_answered_as_without(service: httpx.Client) -> None:
    for prompt in (click(*inside(LARGE), SIZE), boxed(LARGE)):
        np.testing.assert_array_equal(clicked(service, prompt), clicked(service, prompt, config=OFF))


def test_clicks_that_refine_are_answered_from_what_was_encoded_for_the_first(service: httpx.Client) -> None:
    first = click(*inside(SMALL), SIZE)
    clicked(service, first)
    before = encoded(service)
    x, y = inside(SMALL)
    mask = clicked(service, first, click(x + 3, y + 2, SIZE), click(*inside(BESIDE), SIZE, positive=False))
    assert iou(mask, SMALL) > 0.7
    assert encoded(service) == before


def test_a_click_on_nothing_is_answered_as_without(service: httpx.Client) -> None:
    nothing = click(200, 1300, SIZE)
    without, auto = (
        regions_of(service.post("/predict", json=body(ADDRESS, [nothing], config)))
        for config in (OFF, CONFIG)
    )
    assert len(auto) >= len(without)


def test_a_batch_takes_the_second_look_too(service: httpx.Client) -> None:
    drawn = [task(5, ADDRESS, annotations=[{"id": 1, "result": [boxed(SMALL)]}])]
    ((region,),) = results_of(service.post("/predict", json=batch(drawn)))
    assert iou(mask_of(region), SMALL) > 0.8


def test_boxes_of_a_batch_that_are_many_encode_few_windows(service: httpx.Client) -> None:
    boxes = [box(x, y, x + 20, y + 20, SIZE) for x in range(40, 2000, 190) for y in range(700, 1500, 190)]
    before = encoded(service)
    drawn = [task(6, ADDRESS, annotations=[{"id": 1, "result": boxes}])]
    results_of(service.post("/predict", json=batch(drawn)))
    assert 0 < encoded(service) - before <= MOST_WINDOWS


SMALL_DISCS = {"red": (300, 300), "blue": (1500, 900)}
WORDS = CONFIG.replace("</View>", '<TextArea name="prompt" toName="image"/></View>').replace(
    'smart="false"', 'smart="false" model_label="Car"'
)


def test_words_boxes_of_small_things_are_looked_at_again_too() -> None:
    pixels = np.full((*SIZE, 3), BACKGROUND, np.uint8)
    truth = {}
    for colour, place in SMALL_DISCS.items():
        disc = cv2.circle(np.zeros(SIZE, np.uint8), place, 14, 1, -1) > 0
        cv2.ellipse(pixels, place, (60, 50), 20, 0, 360, (200, 190, 180), -1)
        pixels[disc], truth[colour] = COLOURS[colour], disc
    asked = {"id": "w", "type": "textarea", "from_name": "prompt", "to_name": "image"}
    asked["value"] = {"text": ["red, blue"]}
    found = {}
    with (
        with_words(settings()) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        for zoom in ("false", "auto"):
            config = WORDS.replace('name="brush"', f'name="brush" model_zoom="{zoom}"')
            answer = regions_of(client.post("/predict", json=body(data_url(pixels), [asked], config)))
            masks = [mask_of(region) for region in answer if region["type"] == "brushlabels"]
            found[zoom] = [max(iou(mask, true) for mask in masks) for true in truth.values()]
    assert min(found["auto"]) > 0.9
    assert all(auto > false + 0.1 for auto, false in zip(found["auto"], found["false"], strict=True))


@pytest.mark.slow
def test_everything_mode_finds_small_things_unless_it_is_told_to_look_once(service: httpx.Client) -> None:
    """They lie where it clicks in its windows."""
    pixels = np.full((*SIZE, 3), BACKGROUND, np.uint8)
    small = [(62 + 125 * n, 62 + 125 * (n % 3)) for n in range(4)]
    for n, place in enumerate(small):
        cv2.circle(pixels, place, 16, COLOURS[[*COLOURS][n]], -1)
    counts = {}
    for zoom in ("false", "auto"):
        config = CONFIG.replace('name="brush"', f'name="brush" model_everything="true" model_zoom="{zoom}"')
        (regions,) = results_of(service.post("/predict", json=batch([task(7, data_url(pixels))], config)))
        masks = [mask_of(region) for region in regions]
        counts[zoom] = sum(any(mask[y, x] and mask.sum() < 2000 for mask in masks) for x, y in small)
    assert counts["auto"] >= 3 > counts["false"]


# Pictures that are read in parts


@pytest.fixture(scope="module")
def narrow() -> Iterator[httpx.Client]:
    """A service that decodes a third of the picture at once."""
    with (
        running(settings(max_image_pixels=1_000_000)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def addressed(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def jpeg(*options: int) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(PIXELS, cv2.COLOR_RGB2BGR), options)[1].tobytes()


@pytest.mark.parametrize(
    ("address", "least"),
    [(addressed("tiff", tiled(PIXELS)), 0.8), (addressed("jpeg", jpeg()), 0.7)],
    ids=["a TIFF in tiles", "a JPEG at half its size"],
)
def test_masks_on_a_picture_that_is_too_large_to_be_decoded_have_its_own_size(
    narrow: httpx.Client, address: str, least: float
) -> None:
    for mask, prompt in ((SMALL, boxed(SMALL)), (LARGE, click(*inside(LARGE), SIZE))):
        (region,) = regions_of(narrow.post("/predict", json=body(address, [prompt])))
        assert (region["original_width"], region["original_height"]) == (SIZE.width, SIZE.height)
        assert iou(mask_of(region), mask) > least


def test_what_is_too_large_and_can_only_be_decoded_whole_is_refused_with_what_to_do(
    narrow: httpx.Client,
) -> None:
    progressive = addressed("jpeg", jpeg(cv2.IMWRITE_JPEG_PROGRESSIVE, 1))
    for address in (ADDRESS, progressive):
        answer = narrow.post("/predict", json=body(address, [boxed(SMALL)]))
        assert answer.status_code == 413
        assert "read part by part from TIFFs in tiles and from baseline JPEGs" in answer.json()["detail"]
