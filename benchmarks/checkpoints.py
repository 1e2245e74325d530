"""What each published architecture costs on this machine's CPU or GPU: encoding a picture, decoding a click.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.checkpoints [--rounds 3]

Prints the README's table. Times don't depend on the weights, so random ones do.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from label_studio_sam2.engine import device
from label_studio_sam2.engine.checkpoints import CHECKPOINTS
from label_studio_sam2.engine.image import decoding, encoding
from label_studio_sam2.engine.image.upsampling import upsample
from label_studio_sam2.engine.model import load
from label_studio_sam2.settings import DEMO
from label_studio_sam2.types import Point, Prompt

from benchmarks.click import REAL_CONFIGS
from demo_model.scenes import draw_scene
from tests.fakes.networks import random_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="pictures to encode; the median is printed")
    rounds = parser.parse_args().rounds
    print("| `MODEL` | download | encode, once a picture | decode, every click |\n|---|---:|---:|---:|")
    for name in (DEMO, *REAL_CONFIGS):
        encode, decode = measure(name, rounds)
        size = f"{CHECKPOINTS[name].size / 1e6:.0f} MB" if name in CHECKPOINTS else "none"
        print(f"| `{name}` | {size} | {encode:.2f} s | {1000 * decode:.0f} ms |", flush=True)


def measure(name: str, rounds: int) -> tuple[float, float]:
    """Seconds to encode a full-HD picture as the service does it, and to decode a click on it to its mask."""
    chosen = device.choose("auto")
    with TemporaryDirectory() as folder:
        path = name if name == DEMO else str(random_checkpoint(Path(folder), REAL_CONFIGS[name]))
        model = load(path, Path(folder), chosen, encoder_dtype=device.encoder_dtype(chosen))
    pixels = draw_scene(1, width=1920, height=1080).image
    encodes, decodes = [], []
    with torch.inference_mode():
        for number in range(rounds + 1):  # the first one warms up
            started = perf_counter()
            embedding = encoding.encode(model, pixels, np.float16)
            prepared = decoding.prepare(model, embedding)
            encodes.append(perf_counter() - started)
            for turn in range(5):
                started = perf_counter()
                decoded = decoding.decode(prepared, Prompt((Point(100 * turn + 50, 100 * number + 50),)))
                upsample(decoded.logits[0], embedding.size)
                decodes.append(perf_counter() - started)
    return median(encodes[1:]), median(decodes[5:])


if __name__ == "__main__":
    main()
