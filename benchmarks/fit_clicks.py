"""What tuning brings, what it costs in time, and what clicks and events notice of it, over HTTP in one run.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.fit_clicks [--accepted 40] [--asked 40]

A Label Studio on this machine serves a project whose annotators call a washer together with its hole one object; the
demo model leaves the hole out. START_TRAINING is sent as Label Studio sends it. Clicks on other pictures are timed at
rest and while tuning runs, one after the other with a pause, as an annotator clicks; after each comes an event, as of
an annotation that was submitted.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any, NamedTuple

import httpx
import numpy as np
from label_studio_sam2.context import Context
from label_studio_sam2.geometry import iou
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from tests.fakes.asking import body, click, data_url, inside, mask_of, regions_of
from tests.fakes.fit_server import FitServer, annotation_created
from tests.fakes.regions import recorded
from tests.fakes.ring_project import ring_picture
from tests.fakes.servers import LEGACY, serving
from tests.fakes.tuning_service import started, state

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
        project = site.make()
        for seed in range(arguments.accepted):
            picture = ring_picture(seed)
            site.annotate(project, picture.pixels, [picture.accepted])
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
            running(settings, context=Context(settings)) as address,
            httpx.Client(base_url=address, timeout=300, trust_env=False) as client,
        ):
            measure(client, project, arguments.asked)


def measure(client: httpx.Client, project: int, asked: int) -> None:
    """Prints the figures of one run."""
    before = clicks(client, project, asked).iou
    resting = clicks(client, project, asked)
    begun = perf_counter()
    job = started(client, project)
    busy = Clicks([], [], [])
    while state(client, job)["finished"] is None:
        busy = busy.and_more(clicks(client, project, 5))
    seconds = perf_counter() - begun
    result = state(client, job)["result"]
    after = clicks(client, project, asked).iou
    print(f"{result['reason']} {result['counts']}")
    print(
        f"  held out: {result['figures']['held_out']}, elsewhere {result['figures']['agreement']} as before"
    )
    print(f"  one click on {asked} new pictures: IoU {before:.3f} -> {after:.3f} ({after - before:+.3f})")
    print(f"  Start Training to the end: {seconds:.0f} s")
    for what, of_busy, of_resting in (
        ("a warm click", busy.clicks, resting.clicks),
        ("an event", busy.events, resting.events),
    ):
        print(
            f"  95th percentile of {what} while tuning: {1000 * p95(of_busy):.1f} ms, "
            f"{p95(of_busy) / p95(of_resting):.2f} x that at rest ({len(of_busy)} and {len(of_resting)})"
        )


class Clicks(NamedTuple):
    """The IoU of one click on each picture, the seconds of each answer, and of the answer to an event after it."""

    ious: list[float]
    clicks: list[float]
    events: list[float]

    @property
    def iou(self) -> float:
        return float(np.mean(self.ious))

    def and_more(self, others: Clicks) -> Clicks:
        return Clicks(*(one + other for one, other in zip(self, others, strict=True)))


def clicks(client: httpx.Client, project: int, asked: int) -> Clicks:
    found = Clicks([], [], [])
    event = annotation_created(project, every=1_000_000, annotations=5)
    event["annotation"] = recorded("annotation_saved_brush")[0]
    for seed in range(FIRST_ASKED, FIRST_ASKED + asked):
        picture = ring_picture(seed)
        at = click(*inside(picture.ring), Size(*picture.ring.shape))
        sleep(PAUSE_SECONDS)
        answer, took = timed(client, "/predict", body(data_url(picture.pixels), [at], project=f"{project}.1"))
        found.ious.append(iou(mask_of(regions_of(answer)[0]), picture.accepted))
        found.clicks.append(took)
        found.events.append(timed(client, "/webhook", event)[1])
    return found


def timed(client: httpx.Client, path: str, content: dict[str, Any]) -> tuple[httpx.Response, float]:
    begun = perf_counter()
    answer = client.post(path, json=content)
    return answer, perf_counter() - begun


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    main()
