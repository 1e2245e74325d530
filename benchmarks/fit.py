"""What tuning brings, what it costs in time, and what a warm click notices of it, over HTTP in one run.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.fit [--accepted 40] [--asked 40]

A Label Studio on this machine serves a project whose annotators call a washer together with its hole one object; the
demo model leaves the hole out. START_TRAINING is sent as Label Studio sends it. Clicks on other pictures are timed at
rest and while tuning runs, one after the other with a pause, as an annotator clicks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import httpx
import numpy as np
from label_studio_sam2.commands.running import running
from label_studio_sam2.geometry import iou
from label_studio_sam2.service import Service
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from tests.fit_server import FitServer, start_training
from tests.http.asking import body, click, data_url, inside, mask_of, regions_of
from tests.labelstudio.servers import LEGACY, serving
from tests.ring_project import ring_picture

FIRST_ASKED = 1000
PAUSE_SECONDS = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accepted", type=int, default=40, help="accepted masks")
    parser.add_argument("--asked", type=int, default=40, help="new pictures that are clicked once")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, serving(FitServer()) as site:
        for seed in range(arguments.accepted):
            picture = ring_picture(seed)
            site.annotate(picture.pixels, [picture.accepted])
        settings = Settings().model_copy(
            update={
                "model": DEMO,
                "device": "cpu",
                "redis_url": "",
                "model_cache": Path(folder),
                "label_studio_url": site.url,
                "label_studio_api_key": SecretStr(LEGACY),
            }
        )
        with (
            running(settings, service=Service(settings)) as address,
            httpx.Client(base_url=address, timeout=300, trust_env=False) as client,
        ):
            measure(client, arguments.asked)


def measure(client: httpx.Client, asked: int) -> None:
    """Prints the figures of one run."""
    before, _ = clicks(client, asked)
    _, resting = clicks(client, asked)
    started = perf_counter()
    job = client.post("/webhook", json=start_training()).json()["job"]
    busy: list[float] = []
    while client.get(f"/jobs/{job}").json()["finished"] is None:
        busy += clicks(client, 5)[1]
    seconds = perf_counter() - started
    result = client.get(f"/jobs/{job}").json()["result"]
    after, _ = clicks(client, asked)
    print(f"{result['reason']} {result['counts']}")
    print(
        f"  held out: {result['figures']['held_out']}, lost on generic scenes {result['figures']['generic_loss']}"
    )
    print(f"  one click on {asked} new pictures: IoU {before:.3f} -> {after:.3f} ({after - before:+.3f})")
    print(f"  Start Training to the end: {seconds:.0f} s")
    print(
        f"  95th percentile of a warm click while tuning / at rest: {p95(busy) / p95(resting):.2f} "
        f"({len(busy)} and {len(resting)} clicks)"
    )


def clicks(client: httpx.Client, asked: int) -> tuple[float, list[float]]:
    """The mean IoU of one click on each picture, and the seconds of each answer."""
    ious, seconds = [], []
    for seed in range(FIRST_ASKED, FIRST_ASKED + asked):
        picture = ring_picture(seed)
        at = click(*inside(picture.ring), Size(*picture.ring.shape))
        content = body(data_url(picture.pixels), [at])
        sleep(PAUSE_SECONDS)
        begun = perf_counter()
        answer = client.post("/predict", json=content)
        seconds.append(perf_counter() - begun)
        ious.append(iou(mask_of(regions_of(answer)[0]), picture.accepted))
    return float(np.mean(ious)), seconds


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    main()
