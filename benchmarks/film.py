"""What following a list of pictures takes in memory: the service's peak, for a short list and for a long one.

python -m benchmarks.film [--pictures 200 2000] [--cache-mb 128]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import httpx
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size

from demo_model.clips import Clip
from demo_model.metrics import deepest
from tests.fakes import asking_list
from tests.fakes.asking import click
from tests.fakes.settings import settings

SIDE = Size(480, 640)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""


def follow(count: int, cache_mb: int) -> None:
    """One click, a list of so many pictures; prints what it took. In a process of its own: peaks only rise."""
    clip = Clip(3, difficulty="plain", split="held_out", width=SIDE.width, height=SIDE.height)
    drawn = clip.frame(0).masks[0]
    with tempfile.TemporaryDirectory() as folder:
        for place in range(count):
            cv2.imwrite(f"{folder}/{place}.jpg", clip.frame(place).image[..., ::-1])
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"http://127.0.0.1:{server.server_port}"
        given = settings(
            memory_cache_mb=cache_mb,
            media_allowed_hosts=frozenset({"127.0.0.1"}),
            media_cache=str(Path(folder) / "media"),
            predict_budget=3600.0,
        )
        with (
            running(given) as address,
            httpx.Client(base_url=address, timeout=3600, trust_env=False) as client,
        ):
            while client.get("/ready").status_code != 200:
                time.sleep(0.2)
            first = click(*deepest(drawn), SIDE) | {"item_index": 0}
            images = [f"{host}/{place}.jpg" for place in range(count)]
            before, began = _peak(), time.monotonic()
            answer = client.post("/predict", json=asking_list.request(first, images=images))
            took = time.monotonic() - began
        masks = answer.text.count('"item_index"')
        server.shutdown()
    print(
        f"{count} pictures: {masks} masks in {took:.0f} s, an answer of {len(answer.content) / 2**20:.1f} MiB; "
        f"peak {_peak():.0f} MiB, {before:.0f} before"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--pictures", type=int, nargs="+", default=[200, 2000])
    arguments.add_argument("--cache-mb", type=int, default=128, help="MEMORY_CACHE_MB")
    arguments.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.alone:
        follow(given.pictures[0], given.cache_mb)
        return
    for count in given.pictures:
        own = ["--alone", "--pictures", str(count), "--cache-mb", str(given.cache_mb)]
        subprocess.run([sys.executable, "-m", "benchmarks.film", *own], check=True)


if __name__ == "__main__":
    main()
