"""Small objects in large pictures: what a second look at a window is worth, and what it costs.

    python -m benchmarks.zoom [--scenes 3] [--clicks 20]

Scenes of 4000x3000 are drawn with objects of 0.5 to 3% of its width and with large ones, and each is asked for by one
click and by its box, with `model_zoom` "false" and "auto" (demo model). Then the time of a second click on the same
small object, with and without; and with the real tiny architecture and random weights, which cost the same, that of the
first click on an encoded picture with the second look in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.types import Bitmap, Box, Picture, Point, Prompt, Zoom

from demo_model.metrics import box_of, deepest, iou
from demo_model.scenes import LOOKS, Scene, background, finish, random_sprite, scene_rng
from demo_model.shapes import Difficulty
from demo_model.sprites import Pose
from demo_model.textures import Style
from tests.fakes.networks import CPU, demo_model, random_checkpoint

WIDTH, HEIGHT = 4000, 3000
SMALL, LARGE = (0.005, 0.03), (0.15, 0.35)
"""Widths of objects, in widths of the picture."""
EACH = 9, 3
SALT = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=3, help="scenes of each kind")
    parser.add_argument("--first", type=int, default=100, help="the first seed; 0 to 3 chose the measures")
    parser.add_argument("--clicks", type=int, default=20, help="timed clicks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'mean IoU':18}{'objects':>9}{'zoom false':>12}{'zoom auto':>11}{'gain':>8}")
    rows = [
        row
        for kind in LOOKS
        for seed in range(arguments.first, arguments.first + arguments.scenes)
        for row in compared(kind, seed)
    ]
    for small in (True, False):
        for prompted in ("click", "box"):
            chosen = [row for row in rows if row[:2] == (small, prompted)]
            without, auto = (fmean(row[place] for row in chosen) for place in (2, 3))
            name = f"{'small' if small else 'large'}, {prompted}"
            print(f"{name:18}{len(chosen):9}{without:12.3f}{auto:11.3f}{auto - without:8.3f}")
    ratio, _ = second_click(demo_model(), arguments.clicks)
    print(f"\nsecond click on a small object, demo model: {ratio:.2f} x a click without zoom")
    with TemporaryDirectory() as folder:
        tiny = load(str(random_checkpoint(Path(folder))), Path(), CPU)
        ratio, first = second_click(tiny, 5, by_box=True)
    print(
        f"the same after a box, real tiny architecture: {ratio:.2f} x; the first, with its second look: {first:.2f} s"
    )


def compared(kind: Difficulty, seed: int) -> Iterator[tuple[bool, str, float, float]]:
    """For each object, small or large, and each prompt: IoU without and with a second look."""
    scene = drawn(kind, seed)
    segmenter, picture = opened(demo_model(), scene, f"{kind}{seed}")
    embedded = segmenter.embed(picture)
    for truth in scene.masks:
        x, y = deepest(truth)
        box = Box(*map(float, box_of(truth)))
        prompts = {"click": Prompt((Point(x + 0.5, y + 0.5),)), "box": Prompt(box=box)}
        small = box.x1 - box.x0 < LARGE[0] / 2 * WIDTH
        for name, prompt in prompts.items():
            found = []
            for zoom in ("false", "auto"):
                looking = Looking(segmenter, demo_model(), picture, embedded, zoom)
                ((mask,),) = looking.segment([prompt])
                found.append(iou(mask.bitmap, truth))
            yield small, name, found[0], found[1]
    segmenter.close()


def second_click(model: Model, clicks: int, *, by_box: bool = False) -> tuple[float, float]:
    """The time of a second click with a second look by that without; and the seconds of the first answer on an encoded
    picture with the second look in it, of which most is encoding the window. `by_box`: the first prompt is a box, which
    makes sure of the window whatever random weights make of a click."""
    scene = drawn("plain", 100)
    segmenter, picture = opened(model, scene, "timed")
    embedded = segmenter.embed(picture)
    truth: Bitmap = min(scene.masks, key=np.count_nonzero)
    box = Box(*map(float, box_of(truth)))
    x, y = deepest(truth)
    first = Prompt(box=box) if by_box else Prompt((Point(x + 0.5, y + 0.5),))
    times: dict[Zoom, list[float]] = {"auto": [], "false": []}
    looks = {zoom: Looking(segmenter, model, picture, embedded, zoom) for zoom in times}
    looked = timed(looks["auto"], first)
    timed(looks["false"], first)
    rng = np.random.default_rng(0)
    for _ in range(clicks + 2):
        again = Point(float(rng.uniform(box.x0, box.x1)), float(rng.uniform(box.y0, box.y1)))
        for zoom, taken in times.items():
            taken.append(timed(looks[zoom], replace(first, points=(*first.points, again))))
    segmenter.close()
    return median(times["auto"][2:]) / median(times["false"][2:]), looked


def timed(looking: Looking, prompt: Prompt) -> float:
    began = perf_counter()
    list(looking.segment([prompt]))
    return perf_counter() - began


def opened(model: Model, scene: Scene, name: str) -> tuple[Segmenter, Picture]:
    return Segmenter(model, EmbeddingCache(1 << 30), Lane()), Picture(name, lambda: scene.image)


def drawn(kind: Difficulty, seed: int) -> Scene:
    """Small and large objects far apart; those that don't find room are left out."""
    style = Style("held_out", kind)
    rng = scene_rng(SALT + seed, style)
    colour, look = rng.uniform(0, 255, 3), LOOKS[kind]
    canvas = background(rng, style, colour, WIDTH, HEIGHT)
    placed: list[Pose] = []
    for wide, count in zip((LARGE, SMALL), reversed(EACH), strict=True):
        for _ in range(count):
            radius = rng.uniform(*wide) * WIDTH / HEIGHT / 2
            places = rng.uniform(radius, np.array([WIDTH / HEIGHT, 1]) - radius, (60, 2))
            free = [
                (x, y)
                for x, y in places
                if all(np.hypot(x - p.x, y - p.y) > 1.3 * (radius + p.radius) for p in placed)
            ]
            if free:
                placed.append(Pose(*free[0], radius, rng.uniform(0, 2 * np.pi)))
                canvas.paint(random_sprite(rng, style, [colour], len(placed), 0.0), placed[-1])
    image = finish(rng, canvas.rgb, rng.uniform(0, look.blur / 10), rng.uniform(0, look.noise))
    return Scene(image, canvas.labels)


if __name__ == "__main__":
    main()
