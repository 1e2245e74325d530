"""A project is warmed, then every picture is clicked: what the first click on a picture costs, in one run.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.warm [--pictures 500] [--model demo|sam2.1_hiera_tiny|PATH]

The service is restarted after warming, so that the first click on a picture finds its embedding in Redis, and the
second in memory. Then everything again with each task opened first, as the editor does it. Every second picture is
clicked in the other order, so that both are asked for the same objects. The cold click is on pictures that nobody
warmed. Label Studio is a stand-in on this machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

import cv2
import httpx
from label_studio_sam2.commands import warm
from label_studio_sam2.context import media_folder
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey, RedisStore
from label_studio_sam2.engine.model import load
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from benchmarks.click import REAL_CONFIGS, timed
from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, click
from tests.fakes.eventually import eventually
from tests.fakes.networks import CPU, random_checkpoint
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.redis_server import running as redis_running
from tests.fakes.servers import LEGACY, serving

SIZE = Size(480, 640)
COLD = 10
COLD_SEEDS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--model", default="demo", help="demo, a real architecture's name, or a path")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, serving(ProjectServer(CONFIG)) as site, redis_running() as redis:
        model = arguments.model
        if model in REAL_CONFIGS:
            model = str(random_checkpoint(Path(folder), REAL_CONFIGS[model]))
        seeds = [*range(arguments.pictures), *range(COLD_SEEDS, COLD_SEEDS + COLD)]
        addresses = [f"/data/upload/{PROJECT}/{Path(folder).name}-{seed}.jpg" for seed in seeds]
        site.files |= {address: picture(seed) for address, seed in zip(addresses, seeds, strict=True)}
        warmed, cold = addresses[: arguments.pictures], addresses[arguments.pictures :]
        site.add(*warmed)
        settings = Settings().model_copy(
            update={
                "model": model,
                "device": "cpu",
                "redis_url": redis.url,
                "label_studio_url": site.url,
                "label_studio_api_key": SecretStr(LEGACY),
            }
        )
        with running(settings) as address:
            seconds = timed(lambda: warm.run(settings, PROJECT, address))
        print(f"{len(warmed)} pictures warmed in {seconds:.1f} s, {len(warmed) / seconds:.1f} a second")
        with running(settings) as address:
            first, second = clicks(address, warmed)
            unwarmed, _ = clicks(address, cold)
        with running(settings) as address:
            after_opening, _ = clicks(address, warmed, opened=True)
        read = redis_read(settings, warmed)
        names = ("second click", "first click, warmed", "first click, cold", "first click, opened")
        report(dict(zip(names, (second, first, unwarmed, after_opening), strict=True)), read)


def report(clicked: dict[str, list[Click]], read: float) -> None:
    """Prints the figures; `read` is a Redis read in seconds."""
    warm_click, first, *_ = (median(click.seconds for click in clicks) for clicks in clicked.values())
    for name, clicks in clicked.items():
        middle = median(click.seconds for click in clicks)
        stages = " ".join(f"{stage} {1000 * seconds:.1f}" for stage, seconds in spent(clicks).items())
        print(f"  {name:20}{1000 * middle:8.1f} ms {middle / warm_click:6.2f} x second click; of it {stages}")
    print(f"  {'a Redis read':20}{1000 * read:8.1f} ms {read / warm_click:6.2f} x second click")
    print(f"  first click without the Redis read: {(first - read) / warm_click:.2f} x second click")


def picture(seed: int) -> bytes:
    drawn = draw_scene(seed, width=SIZE.width, height=SIZE.height).image
    return cv2.imencode(".jpg", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))[1].tobytes()


class Click(NamedTuple):
    """What one click took: altogether, and in each stage as the service reports it (seconds)."""

    seconds: float
    stages: dict[str, float]


def clicks(address: str, pictures: list[str], *, opened: bool = False) -> tuple[list[Click], list[Click]]:
    """The first and the second click on each picture; `opened`: after its task was opened, and all is done for it."""
    places = (100.0, 400.0)
    with httpx.Client(base_url=address, timeout=300, trust_env=False) as client:
        pairs = []
        for number, one in enumerate(pictures):
            if opened:
                open_task(client, one)
            pairs.append([clicked(client, one, x) for x in (places if number % 2 else places[::-1])])
    return [first for first, _ in pairs], [second for _, second in pairs]


def open_task(client: httpx.Client, picture: str) -> None:
    """As the editor does it; returns when what that begins has ended."""
    client.post("/predict", json=body(picture, None)).raise_for_status()
    eventually(lambda: all(job["finished"] for job in client.get("/jobs").json()["jobs"]))


def clicked(client: httpx.Client, picture: str, x: float) -> Click:
    asked = body(picture, [click(x, 200, SIZE)])
    started = perf_counter()
    answer = client.post("/predict", json=asked).raise_for_status()
    seconds = perf_counter() - started
    timings = (one.split(";dur=") for one in answer.headers["server-timing"].split(", "))
    return Click(seconds, {name: float(duration) / 1000 for name, duration in timings})


def spent(clicks: list[Click]) -> dict[str, float]:
    """The median of each stage that most clicks have."""
    names = [name for name in clicks[0].stages if sum(name in one.stages for one in clicks) > len(clicks) / 2]
    return {name: median(one.stages.get(name, 0.0) for one in clicks) for name in names}


def redis_read(settings: Settings, pictures: list[str]) -> float:
    """Median seconds to read a stored embedding."""
    client = LabelStudioClient(settings.label_studio_url, settings.label_studio_api_key.get_secret_value())
    media = MediaStore.of(settings, media_folder(settings), client)
    store = RedisStore(settings.redis_url, settings.embedding_ttl)
    fingerprint = load(settings.model, settings.model_cache, CPU).fingerprint
    times = []
    for one in pictures:
        key = EmbeddingKey(fingerprint, media.fetch(one).digest)
        started = perf_counter()
        assert store.get(key) is not None
        times.append(perf_counter() - started)
    store.close()
    return median(times)


if __name__ == "__main__":
    main()
