"""One click, from the request to the mask, against the stock predictor and the peer's way, in one run.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.click [--model sam2.1_hiera_tiny|demo|PATH] [--clicks 15]

Everything runs on this machine at the same time of day, so what counts are the ratios. Times don't depend on the
weights: without a path, the real architecture runs with random ones. "Stock" is `SAM2ImagePredictor.predict` on a
picture that it has encoded already; "peer" encodes on every click, as Label Studio's own SAM 2 example does.

Clicks are spread over the picture and get one look (`model_zoom="false"`), as the stock predictor's do; the last row is
what they take with the default, which looks again at what is small or unsure. How often that is depends on the weights
and on what is clicked: here it is nearly always, of real weights on real objects it isn't.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
import httpx
import numpy as np
import torch
from label_studio_sam2.engine.model import load
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Pixels, Size
from sam2.sam2_image_predictor import SAM2ImagePredictor

from demo_model.scenes import draw_scene
from tests.fakes.asking import CONFIG, body, click
from tests.fakes.networks import random_checkpoint
from tests.fakes.redis_server import running as redis_running

SIZES = (Size(1080, 1920), Size(3000, 4000))
CPU = torch.device("cpu")
AGAIN = CONFIG
ONE_LOOK = CONFIG.replace('name="brush"', 'name="brush" model_zoom="false"')
REAL_CONFIGS = {
    "sam2.1_hiera_tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_hiera_small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1_hiera_base_plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1_hiera_large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="sam2.1_hiera_tiny", help="a real architecture's name, demo, or a path"
    )
    parser.add_argument("--clicks", type=int, default=15, help="clicks for each figure")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        model = arguments.model
        if model in REAL_CONFIGS:
            model = str(random_checkpoint(Path(folder), REAL_CONFIGS[model]))
        for size in SIZES:
            measure(model, size, arguments.clicks, Path(folder))


def measure(model: str, size: Size, clicks: int, folder: Path) -> None:
    """Prints the figures for one picture size, as ratios to the stock call."""
    pixels = draw_scene(1, width=size.width, height=size.height).image
    cv2.imwrite(str(folder / "picture.jpg"), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    stock, peer = stock_and_peer(model, pixels, clicks)
    local = Settings().model_copy(
        update={
            "model": model,
            "device": "cpu",
            "redis_url": "",
            "media_allowed_hosts": frozenset({"127.0.0.1"}),
        }
    )
    with serving(folder) as pictures:
        with running(local) as address:
            (cold,) = ask(address, f"{pictures}?cold", size, 1)
            warm = ask(address, f"{pictures}?cold", size, clicks)
            twice = ask(address, f"{pictures}?cold", size, 2 * clicks, AGAIN)[clicks:]  # at new places
            health = health_while_encoding(address, pictures, size)
        with redis_running() as redis:
            shared = local.model_copy(update={"redis_url": redis.url, "memory_cache_mb": 0})
            with running(shared) as address:
                ask(address, f"{pictures}?redis", size, 2)
                from_redis = ask(address, f"{pictures}?redis", size, clicks)
    base = median(stock)
    print(f"\n{size.width}x{size.height}, one click on the CPU, median of {clicks}")
    for name, times in (
        ("stock predict, already encoded", stock),
        ("warm click over HTTP (memory hit)", warm),
        ("warm click over HTTP (Redis hit)", from_redis),
        ("cold click over HTTP", [cold]),
        ("peer: encodes on every click", peer),
        ("warm click that may look again", twice),
    ):
        print(f"  {name:36}{1000 * median(times):9.1f} ms {median(times) / base:8.2f} x stock")
    print(f"  {'/health while encoding, 99th perc.':36}{1000 * quantiles(health, n=100)[98]:9.1f} ms")


def stock_and_peer(model: str, pixels: Pixels, clicks: int) -> tuple[list[float], list[float]]:
    """Seconds of the stock call on an encoded picture, and of encoding and calling."""
    network = load(model, Path(), CPU).network
    predictor = SAM2ImagePredictor(network)
    predictor._bb_feat_sizes = [(network.image_size // stride,) * 2 for stride in (4, 8, 16)]
    places = iter(spread(Size(*pixels.shape[:2]), clicks + 3))

    def predict() -> None:
        predictor.predict(point_coords=np.array([next(places)]), point_labels=np.array([1]))

    def encode_and_predict() -> None:
        predictor.set_image(pixels)
        predict()

    with torch.inference_mode():
        peer = [timed(encode_and_predict) for _ in range(2)]
        return [timed(predict) for _ in range(clicks)], peer


def ask(address: str, picture: str, size: Size, clicks: int, config: str = ONE_LOOK) -> list[float]:
    """Seconds of clicks at as many different places."""
    with httpx.Client(base_url=address, timeout=300, trust_env=False) as client:
        return [
            timed(partial(post, client, body(picture, [click(x, y, size)], config)))
            for x, y in spread(size, clicks)
        ]


def post(client: httpx.Client, content: dict[str, object]) -> None:
    client.post("/predict", json=content).raise_for_status()


def health_while_encoding(address: str, pictures: str, size: Size) -> list[float]:
    """Seconds of GET /health while a new picture is being encoded."""
    encoding = threading.Thread(target=ask, args=(address, f"{pictures}?health", size, 1))
    encoding.start()
    times = []
    with httpx.Client(base_url=address, trust_env=False) as client:
        while encoding.is_alive():
            times.append(timed(lambda: client.get("/health").raise_for_status()))
    return times if len(times) > 1 else times * 2


def spread(size: Size, count: int) -> Iterator[tuple[float, float]]:
    """Different places, the same ones every time."""
    rng = np.random.default_rng(count)
    return iter([(float(x) * size.width, float(y) * size.height) for x, y in rng.random((count, 2))])


def timed(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's own name
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of the picture in the folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/picture.jpg"
    finally:
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
