"""Pictures a second of `warm` and of `predict --project`, clicks meanwhile, and frames a second; against another
checkout, in turns.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.throughput [--against PATH] [--what warm|predict|video ...]
        [--model demo|sam2.1_hiera_tiny|PATH] [--pictures 100] [--size 4000x3000] [--rounds 3] [--device cpu]

Each measurement is a process of its own: this checkout's backend, then the other's, and so on, so that both see the
same machine. What counts are the ratios; their spread over the rounds is printed beside them. Pictures come over HTTP
from a stand-in for Label Studio; the click is one on a picture that is encoded already, four times a second.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter
from typing import Any

import cv2
import httpx
import numpy as np
from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Box, Pixels, Prompt, Size
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, box, click
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving

ROOT = Path(__file__).parent.parent
PAUSE = 0.25
COMMENT = b"\xff\xfe"


def main() -> None:
    options = parsed()
    if options.worker:
        print(json.dumps(WORK[options.worker](options)))
        return
    with TemporaryDirectory() as folder:
        options.model = checkpoint(options.model, Path(folder))
        for what in options.what:
            compare(what, options)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--what", nargs="+", default=["warm"], choices=WORK)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", default="4000x3000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--worker", choices=WORK, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(what: str, options: argparse.Namespace) -> None:
    """Prints both checkouts' figures, and by how much this one is faster."""
    found: dict[str, list[dict[str, float]]] = {"this": [], "other": []}
    for _ in range(options.rounds):
        found["this"].append(measured(what, ROOT, options))
        if options.against:
            found["other"].append(measured(what, options.against, options))
    print(f"{what}, {Path(options.model).stem}, {options.device}, {options.rounds} rounds")
    for figure in found["this"][0]:
        this = [one[figure] for one in found["this"]]
        print(f"  {figure:28}{median(this):9.2f} ({min(this):.2f} to {max(this):.2f})", end="")
        if options.against:
            other = [one[figure] for one in found["other"]]
            ratios = [new / old for new, old in zip(this, other, strict=True)]
            print(f", other {median(other):9.2f}; {median(ratios):.2f} times", end="")
            print(f" ({min(ratios):.2f} to {max(ratios):.2f})", end="")
        print(flush=True)


def measured(what: str, checkout: Path, options: argparse.Namespace) -> dict[str, float]:
    given = [
        f"--{name}={getattr(options, name)}" for name in ("model", "pictures", "frames", "size", "device")
    ]
    path = os.pathsep.join([str(checkout.resolve() / "backend"), str(ROOT)])
    program = ["env", f"PYTHONPATH={path}", sys.executable, "-m", "benchmarks.throughput"]
    done = subprocess.run(
        [*program, f"--worker={what}", *given], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def warm(options: argparse.Namespace) -> dict[str, float]:
    return of_project(options, "warm", {})


def predict(options: argparse.Namespace) -> dict[str, float]:
    """Masks of three boxes on each picture."""
    size = sized(options.size)
    corners = [(0.1, 0.1, 0.4, 0.5), (0.5, 0.2, 0.8, 0.6), (0.2, 0.5, 0.6, 0.9)]
    drawn = [
        box(x0 * size.width, y0 * size.height, x1 * size.width, y1 * size.height, size) | {"id": f"b{number}"}
        for number, (x0, y0, x1, y1) in enumerate(corners)
    ]
    return of_project(options, "predict", {"annotations": [{"id": 1, "result": drawn}]})


def of_project(options: argparse.Namespace, kind: str, more: dict[str, Any]) -> dict[str, float]:
    """Pictures a second of a whole project, and milliseconds of clicks meanwhile."""
    size = sized(options.size)
    with serving(ProjectServer(CONFIG)) as site, TemporaryDirectory() as folder:
        addresses = [f"/data/upload/{PROJECT}/{number}.jpg" for number in range(options.pictures)]
        picture = jpeg(draw_scene(5, width=size.width, height=size.height).image)
        site.files |= {address: marked(picture, n) for n, address in enumerate(addresses)}
        site.files["/data/upload/7/clicked.jpg"] = jpeg(draw_scene(6, width=640, height=480).image)
        site.add(*addresses, **more)
        settings = Settings().model_copy(
            update={
                "model": options.model,
                "device": options.device,
                "redis_url": "",
                "media_cache": folder,
                "label_studio_url": site.url,
                "label_studio_api_key": SecretStr(LEGACY),
            }
        )
        with running(settings) as address, httpx.Client(base_url=address, timeout=600) as client:
            list(clicks(client, 3))
            over, clicked = Event(), []
            clicking = Thread(target=lambda: clicked.extend(clicks(client, None, over)))
            started = perf_counter()
            job = client.post("/jobs", json={"kind": kind, "project": PROJECT}).raise_for_status().json()
            clicking.start()
            while (job := client.get(f"/jobs/{job['id']}").json())["finished"] is None:
                Event().wait(0.02)
            seconds = perf_counter() - started
            over.set()
            clicking.join()
        assert job["state"] == "done", job
    return {"pictures a second": options.pictures / seconds} | of_clicks(clicked)


def clicks(client: httpx.Client, count: int | None, over: Event | None = None) -> Iterator[float]:
    """Seconds of clicks at different places on the picture that is encoded."""
    rng, size = np.random.default_rng(1), Size(480, 640)
    over = over or Event()
    while count is None or count > 0:
        asked = body("/data/upload/7/clicked.jpg", [click(*(rng.random(2) * (640, 480)), size)])
        started = perf_counter()
        client.post("/predict", json=asked).raise_for_status()
        yield perf_counter() - started
        count = None if count is None else count - 1
        if over.wait(PAUSE):
            return


def of_clicks(seconds: list[float]) -> dict[str, float]:
    cuts = quantiles(seconds, n=100, method="inclusive")
    return {"click p50, ms": 1000 * cuts[49], "click p99, ms": 1000 * cuts[98]}


def video(options: argparse.Namespace) -> dict[str, float]:
    """Frames a second of two objects, each frame decoded and encoded anew."""
    chosen = device.choose(options.device)
    model = load(options.model, Path("model_cache"), chosen, encoder_dtype=device.encoder_dtype(chosen))
    segmenter = Segmenter(model, EmbeddingCache(0), Lane())
    frames = Moving(options.frames)
    targets = {
        name: Target({0: Prompt(box=Box(x, 100, x + 120, 220))}, range(len(frames)))
        for name, x in (("a", 80), ("b", 400))
    }
    started = 0.0
    for masks in segmenter.track(segmenter.model, frames, "moving", targets):
        started = started or perf_counter()  # the first frame pays for what is set up
        last = masks[0].frame
    seconds = perf_counter() - started
    segmenter.close()
    return {"frames a second": last / seconds}


class Moving:
    """A scene that moves to the right."""

    size = Size(480, 640)

    def __init__(self, count: int) -> None:
        self._count = count
        self._scene = draw_scene(7, width=640 + count, height=480).image

    def __len__(self) -> int:
        return self._count

    def frame(self, index: int) -> Pixels:
        return np.ascontiguousarray(self._scene[:, self._count - index : self._count - index + 640])

    def frames(self, span: range) -> Iterator[Pixels]:
        return map(self.frame, span)


WORK: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "warm": warm,
    "predict": predict,
    "video": video,
}


def checkpoint(model: str, folder: Path) -> str:
    """A path for the name of a real architecture, with random weights."""
    from benchmarks.click import REAL_CONFIGS  # noqa: PLC0415  needs what an older checkout's backend lacks
    from tests.fakes.networks import random_checkpoint  # noqa: PLC0415

    return str(random_checkpoint(folder, REAL_CONFIGS[model])) if model in REAL_CONFIGS else model


def sized(text: str) -> Size:
    width, height = map(int, text.split("x"))
    return Size(height, width)


def jpeg(pixels: Pixels) -> bytes:
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def marked(picture: bytes, number: int) -> bytes:
    """The same picture as another file: with a comment."""
    said = f"picture {number}".encode()
    return picture[:2] + COMMENT + (len(said) + 2).to_bytes(2, "big") + said + picture[2:]


if __name__ == "__main__":
    main()
