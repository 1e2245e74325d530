"""Everything mode against the package's own SAM2AutomaticMaskGenerator with the same parameters, in one run.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.everything [--model demo|sam2.1_hiera_tiny|PATH] [--points 16]
                                                            [--size 1920x1080 ...]

Each contender runs in a process of its own, on the CPU with one thread, from the picture's pixels to its masks; a large
picture is searched in crops too. Times are the processor's. "Memory" is what a contender's peak lies above its start. A
mask is matched where the other has one with IoU >= 0.99. A real architecture runs with random weights, whose masks pass
no filter: its thresholds are set so that about half of them do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
from label_studio_sam2.engine.image import decoding, encoding, everything
from label_studio_sam2.engine.image.decoding import Prepared
from label_studio_sam2.engine.image.grid import Grid, point_grid
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap, PackedMask, Pixels, Size
from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

from benchmarks.click import REAL_CONFIGS
from demo_model.scenes import draw_scene
from tests.fakes.networks import CPU, random_checkpoint

SIZES = ("640x480", "1920x1080", "4000x3000")
CROPPED_FROM = 2000
"""Rows from which a picture is searched in crops too, as `Grid.of` does for a model of 1024 px."""

POINTS_AT_ONCE = 4
OURS = {"min_mask_region_area", "mask_nms_thresh"}


class Outcome(NamedTuple):
    seconds: float
    mebibytes: float
    masks: list[PackedMask]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="demo", help="demo, a real architecture's name, or a path")
    parser.add_argument("--points", type=int, default=16, help="points a side")
    parser.add_argument("--size", nargs="+", default=SIZES, help="pictures' widths and heights")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        model = arguments.model
        grid = Grid(
            arguments.points,
            stability_score_thresh=0.8,
            box_nms_thresh=0.5,
            crop_n_points_downscale_factor=2,
        )
        if model in REAL_CONFIGS:
            model = str(random_checkpoint(Path(folder), REAL_CONFIGS[model]))
            grid = replace(grid, pred_iou_thresh=middle(model, arguments.points), stability_score_thresh=0.0)
        print(f"{arguments.model}, {arguments.points} x {arguments.points} points")
        for size in (Size(*map(int, text.split("x")[::-1])) for text in arguments.size):
            compare(model, replace(grid, crop_n_layers=int(size.height >= CROPPED_FROM)), size)


def compare(model: str, grid: Grid, size: Size) -> None:
    """Prints a line for one picture size."""
    stock = apart(partial(measure, run_stock, model, grid, size))
    ours = apart(partial(measure, run_ours, model, grid, size))
    twins = [mask.bitmap() for mask in ours.masks]
    matched = sum(any(iou(one.bitmap(), twin) >= 0.99 for twin in twins) for one in stock.masks)
    crops = " in crops" if grid.crop_n_layers else ""
    print(
        f"  {size.width}x{size.height}{crops}: package {stock.seconds:6.1f} s {stock.mebibytes:6.0f} MiB, "
        f"ours {ours.seconds:6.1f} s {ours.mebibytes:6.0f} MiB, {stock.seconds / ours.seconds:.2f} times faster; "
        f"{matched} of the package's {len(stock.masks)} masks matched, ours {len(ours.masks)}",
        flush=True,
    )


Contender = Callable[[Model, Grid, Pixels], tuple[float, list[Bitmap]]]


def measure(contender: Contender, model: str, grid: Grid, size: Size) -> Outcome:
    """One contender's processor time and peak memory."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    loaded = load(model, Path(), CPU)
    pixels = draw_scene(21, width=size.width, height=size.height).image
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here (Linux, proc(5))
    before = memory("VmRSS")
    with torch.inference_mode():
        seconds, bitmaps = contender(loaded, grid, pixels)
    return Outcome(seconds, memory("VmHWM") - before, [PackedMask.of(bitmap) for bitmap in bitmaps])


def memory(what: str) -> float:
    """This process's memory now (VmRSS) or at most (VmHWM), in MiB."""
    return int(Path("/proc/self/status").read_text().partition(f"{what}:")[2].split()[0]) / 1024


def run_ours(model: Model, grid: Grid, pixels: Pixels) -> tuple[float, list[Bitmap]]:
    size = Size(*pixels.shape[:2])

    def prepare(window: Window) -> Prepared:
        part = pixels[window.y0 : window.y1, window.x0 : window.x1]
        return decoding.prepare(model, encoding.encode(model, part, np.float32))

    started = process_time()
    found = everything.find(size, grid, prepare, decoding.decode_points, points_at_once=POINTS_AT_ONCE)
    return process_time() - started, [one.bitmap(size) for one in found]


def run_stock(model: Model, grid: Grid, pixels: Pixels) -> tuple[float, list[Bitmap]]:
    parameters = {name: getattr(grid, name) for name in Grid.__dataclass_fields__ if name not in OURS}
    generator = SAM2AutomaticMaskGenerator(model.network, points_per_batch=POINTS_AT_ONCE, **parameters)
    generator.predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
    started = process_time()
    masks = generator.generate(pixels)
    return process_time() - started, [mask["segmentation"] for mask in masks]


def middle(model: str, points: int) -> float:
    """The predicted IoU that half of a model's masks exceed."""
    loaded = load(model, Path(), CPU)
    pixels = draw_scene(21, width=640, height=480).image
    with torch.inference_mode():
        prepared = decoding.prepare(loaded, encoding.encode(loaded, pixels, np.float32))
        clicks = point_grid(Grid(min(points, 4)), 0) * (640, 480)
        _, scores = decoding.decode_points(prepared, clicks.astype(np.float32))
    return float(np.median(scores))


def apart(work: Callable[[], Outcome]) -> Outcome:
    """What a process of its own makes of it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work)


if __name__ == "__main__":
    main()
