"""What each architecture costs on this machine's GPU (or, as a rehearsal, CPU), over HTTP where a person waits.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.device [--device cuda] [--models demo sam2.1_hiera_large ...]
        [--seconds 5]

Prints a line for each model: encoding a full-HD picture alone and in batches, a click on one that is encoded, over HTTP
on loopback, everything on it, frames a second of a full-HD video with one object and with four (prepared, encoded,
tracked, and their masks at full size), and the most memory that torch held. Weights are random: times don't depend on
them.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import httpx
import numpy as np
import torch
from label_studio_sam2.context import Context
from label_studio_sam2.engine.image import encoding
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Box, Picture, Pixels, Prompt, Size

from benchmarks.click import REAL_CONFIGS
from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, data_url
from tests.fakes.networks import random_checkpoint

SIZE = Size(1080, 1920)
BATCH = 8
MOST_TIMES = 200


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", default=[DEMO, *REAL_CONFIGS])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure, about")
    options = parser.parse_args()
    print(f"{name_of(options.device)}, torch {torch.__version__}")
    print(
        "| model | encode | pictures/s | click p50 | click p99 | everything | frames/s, 1 object | 4 objects | memory |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for model in options.models:
        print(f"| `{model}` | {' | '.join(measured(model, options))} |", flush=True)


def name_of(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.processor() or device


def measured(model: str, options: argparse.Namespace) -> Iterator[str]:
    """The cells of one model's line."""
    pixels = draw_scene(1, width=SIZE.width, height=SIZE.height).image
    with TemporaryDirectory() as folder:
        path = str(random_checkpoint(Path(folder), REAL_CONFIGS[model])) if model in REAL_CONFIGS else model
        settings = Settings().model_copy(
            update={"model": path, "device": options.device, "redis_url": "", "basic_auth_user": ""}
        )
        context = Context(settings)
        with running(settings, context=context) as address:
            segmenter = context.segmenter()
            on_gpu = segmenter.model.device.type == "cuda"
            if on_gpu:
                torch.cuda.reset_peak_memory_stats(segmenter.model.device)
            yield milliseconds(often(lambda: encoded(segmenter, [pixels]), options.seconds))
            batch = [pixels] * (BATCH if on_gpu else 1)
            seconds = often(lambda: encoded(segmenter, batch), options.seconds)
            yield f"{len(batch) * len(seconds) / sum(seconds):.1f}"
            clicked = clicks(address, pixels, options.seconds)
            yield milliseconds(clicked)
            yield f"{1000 * float(np.percentile(clicked, 99)):.1f} ms"
            yield milliseconds(everything(segmenter, pixels, options.seconds))
            for objects in (1, 4):
                yield f"{frames_a_second(segmenter, objects, options.seconds):.1f}"
            held = torch.cuda.max_memory_reserved(segmenter.model.device) if on_gpu else 0
            yield f"{held / (1 << 30):.1f} GiB" if on_gpu else "–"


def often(work: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each time, after a first one that counts for nothing."""
    work()
    times: list[float] = []
    while not times or (sum(times) < seconds and len(times) < MOST_TIMES):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return times


def milliseconds(seconds: list[float]) -> str:
    return f"{1000 * float(np.median(seconds)):.1f} ms"


def encoded(segmenter: Segmenter, pictures: list[Pixels]) -> None:
    """From pixels to embeddings on the host, made ready beside the device as a batch is."""
    ready = [encoding.ready(segmenter.model, one) for one in pictures]
    segmenter.lane.run(Turn(Priority.BATCH), lambda: encoding.encode_all(segmenter.model, ready, np.float16))


def clicks(address: str, pixels: Pixels, seconds: float) -> list[float]:
    """Each at another place of the picture, over HTTP."""
    picture, rng = data_url(pixels), np.random.default_rng(1)
    with httpx.Client(base_url=address, timeout=600, trust_env=False) as client:

        def one() -> None:
            place = rng.random(2) * (SIZE.width, SIZE.height)
            client.post("/predict", json=body(picture, [click(*place, SIZE)])).raise_for_status()

        return often(one, seconds)


def everything(segmenter: Segmenter, pixels: Pixels, seconds: float) -> list[float]:
    """With the default grid of 32 x 32 clicks, without crops."""
    picture = Picture("everything", lambda: pixels)
    embedded = segmenter.embed(picture)
    return often(
        lambda: segmenter.everything(
            segmenter.model, picture, embedded, grid=Grid(), priority=Priority.BATCH
        ),
        seconds,
    )


class Moving:
    """A scene that moves to the right, so many frames."""

    size = SIZE

    def __init__(self, count: int) -> None:
        self._count = count
        self._scene = draw_scene(7, width=SIZE.width + 256, height=SIZE.height).image

    def __len__(self) -> int:
        return self._count

    def frame(self, index: int) -> Pixels:
        return np.ascontiguousarray(self._scene[:, index % 256 : index % 256 + SIZE.width])

    def frames(self, span: range) -> Iterator[Pixels]:
        return map(self.frame, span)


def frames_a_second(segmenter: Segmenter, objects: int, seconds: float) -> float:
    """Of frames that nobody kept."""
    frames = Moving(10_000)
    boxes = [Box(200 + 400 * n, 300, 400 + 400 * n, 600) for n in range(objects)]
    targets = {str(n): Target({0: Prompt(box=one)}, range(len(frames))) for n, one in enumerate(boxes)}
    tracked = segmenter.track(segmenter.model, frames, f"moving {objects}", targets)
    for _ in range(2):  # what they set up is not counted
        next(tracked)
    started, done = perf_counter(), 0
    while perf_counter() - started < seconds:
        next(tracked)
        done += 1
    rate = done / (perf_counter() - started)
    tracked.close()  # type: ignore[attr-defined]
    return rate


if __name__ == "__main__":
    main()
