"""Brush RLE of ours against label-studio-sdk's, in one run: `python -m benchmarks.brush_rle`. Prints ratios."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import orjson
from label_studio_sam2.labelstudio.codecs.brush_rle import decode, encode
from label_studio_sam2.types import Bitmap, Size
from label_studio_sdk.converter.brush import decode_rle, mask2rle

SIZES = {"1920x1080": Size(1080, 1920), "4000x3000": Size(3000, 4000)}


def blob(size: Size) -> Bitmap:
    """A wavy disc with a hole."""
    down, across = np.mgrid[-1 : 1 : size.height * 1j, -1 : 1 : size.width * 1j]
    angle, distance = np.arctan2(down, across), np.hypot(down, across)
    return (distance < 0.7 + 0.05 * np.sin(40 * angle)) & (distance > 0.2)


def clouds(size: Size) -> Bitmap:
    """Many parts with ragged edges."""
    noise = np.random.default_rng(0).random(size, np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), size.height / 130)
    return np.asarray(blurred > blurred.mean(), np.bool_)


def best(work: Callable[[], Any], times: int) -> float:
    """Milliseconds of the fastest of several runs."""
    spans = []
    for _ in range(times):
        begun = perf_counter()
        work()
        spans.append(perf_counter() - begun)
    return min(spans) * 1000


def main() -> None:
    print(
        f"{'mask':22}{'ints':>9}{'encode':>9}{'SDK':>9}{'ratio':>7}{'decode':>9}{'SDK':>9}{'ratio':>7}{'JSON':>7}"
    )
    for name, size in SIZES.items():
        for shape in (blob, clouds):
            row(f"{shape.__name__} {name}", shape(size))


def row(name: str, bitmap: Bitmap) -> None:
    rle = encode(bitmap)
    gray = bitmap * np.uint8(255)
    assert rle == mask2rle(gray)
    size = Size(*bitmap.shape)
    ours, theirs = best(lambda: encode(bitmap), 15), best(lambda: mask2rle(gray), 3)
    back, their_back = best(lambda: decode(rle, size), 7), best(lambda: decode_rle(rle), 2)
    json = best(lambda: orjson.dumps(rle), 7)
    print(
        f"{name:22}{len(rle):9}{ours:9.2f}{theirs:9.1f}{theirs / ours:7.1f}"
        f"{back:9.2f}{their_back:9.1f}{their_back / back:7.1f}{json:7.2f}"
    )


if __name__ == "__main__":
    main()
