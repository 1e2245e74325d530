from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import quantiles
from time import perf_counter

import httpx
import numpy as np
import pytest
import torch
from label_studio_sam2.context import Context
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Picture, Point, Prompt, Size

from demo_model.scenes import draw_scene
from tests.fakes import asking_video
from tests.fakes.asking import (
    CONFIG,
    batch,
    body,
    box,
    click,
    data_url,
    mask_of,
    regions_of,
    results_of,
    task,
)
from tests.fakes.settings import settings

SIZE = Size(480, 640)
EVERYTHING = CONFIG.replace("<BrushLabels", "<BrushLabels model_everything='true'")
CLICKS = 200


@pytest.fixture(scope="module")
def context(device: torch.device) -> Context:
    return Context(settings(device=str(device)))


@pytest.fixture(scope="module")
def client(context: Context) -> Iterator[httpx.Client]:
    with (
        running(context.settings, context=context) as address,
        httpx.Client(base_url=address, timeout=120, trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def picture() -> str:
    return data_url(draw_scene(3, width=SIZE.width, height=SIZE.height).image)


def test_it_says_where_it_runs_and_what_memory_that_takes(client: httpx.Client, device: torch.device) -> None:
    assert client.get("/", headers={"Accept": "application/json"}).json()["device"] == str(device)
    assert client.get("/ready").status_code == 200
    shown = [
        line for line in client.get("/metrics").text.splitlines() if line.startswith("sam2_device_memory")
    ]
    assert {line.partition('kind="')[2].partition('"')[0] for line in shown} == (
        set()
        if device.type == "cpu"
        else {"used", "held", "free"}
        if device.type == "cuda"
        else {"used", "held"}
    )


def test_clicks_and_boxes_are_answered(client: httpx.Client, picture: str) -> None:
    for prompt in (click(300, 200, SIZE), box(100, 50, 420, 390, SIZE)):
        (region,) = regions_of(client.post("/predict", json=body(picture, [prompt])))
        assert mask_of(region).any()


def test_a_batch_is_answered_with_what_it_carries_and_with_everything(client: httpx.Client) -> None:
    pictures = [data_url(draw_scene(seed, width=320, height=240).image) for seed in range(20, 28)]
    drawn = {"annotations": [{"id": 1, "result": [box(20, 20, 200, 180, Size(240, 320))]}]}
    carrying = [task(number, one, **drawn) for number, one in enumerate(pictures, 1)]
    assert sum(map(bool, results_of(client.post("/predict", json=batch(carrying))))) >= len(carrying) - 1
    bare = [task(number, one) for number, one in enumerate(pictures[:4], 1)]
    assert all(results_of(client.post("/predict", json=batch(bare, EVERYTHING))))


def test_a_video_is_tracked(client: httpx.Client) -> None:
    region = asking_video.region("a", asking_video.keyframe(1, 0))
    (answered,) = asking_video.ask(client, region)
    assert asking_video.mean_iou(answered, 0) > 0.7


def test_two_hundred_clicks_beside_a_track_are_all_answered(
    client: httpx.Client, picture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, seconds = np.random.default_rng(1), []
    with ThreadPoolExecutor(1) as threads:
        tracks = iter(range(1000))

        def track() -> object:
            number = next(tracks)
            return asking_video.ask(
                client,
                asking_video.region(f"t{number}", asking_video.keyframe(1, number % 2)),
                task=number + 10,
            )

        tracking = threads.submit(track)
        for _ in range(CLICKS):
            asked = body(picture, [click(*(rng.random(2) * (SIZE.width, SIZE.height)), SIZE)])
            started = perf_counter()
            assert client.post("/predict", json=asked).status_code == 200
            seconds.append(perf_counter() - started)
            if tracking.done():
                assert tracking.result()
                tracking = threads.submit(track)
        assert tracking.result()
    cuts = quantiles(seconds, n=100, method="inclusive")
    with capsys.disabled():
        said = f"p50 {1000 * cuts[49]:.1f} ms, p99 {1000 * cuts[98]:.1f} ms"
        sys.stdout.write(f"\n{CLICKS} clicks beside a track: {said}\n")


def test_a_full_device_is_told_and_is_used_again_when_it_is_free(
    client: httpx.Client, context: Context, picture: str, device: torch.device
) -> None:
    if device.type != "cuda":
        pytest.skip("memory can be taken away from a GPU only; tests/engine injects the error")
    segmenter = context.segmenter()
    large = Picture("large", lambda: draw_scene(5, width=4000, height=3000).image)
    _, total = torch.cuda.mem_get_info(device)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(torch.cuda.memory_reserved(device) / total, device)
    hog = []
    try:
        while True:  # what torch holds already, to the last block
            try:
                hog.append(torch.empty(1 << 20, dtype=torch.uint8, device=device))
            except torch.OutOfMemoryError:
                break
        answer = client.post("/predict", json=body(data_url(large.load()), [click(9, 9, Size(3000, 4000))]))
        assert answer.status_code == 503
        assert answer.json()["error"] == "OutOfMemory"
    finally:
        hog.clear()
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert client.get("/ready").status_code == 200
    assert regions_of(client.post("/predict", json=body(picture, [click(310, 210, SIZE)])))
    ((mask,),) = segmenter.segment(segmenter.model, segmenter.embed(large), [Prompt((Point(9, 9),))])
    assert mask.bitmap.shape == (3000, 4000)
