"""What is small in a large picture gets a second look, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
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
from tests.fakes.settings import settings

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
