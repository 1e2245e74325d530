"""Small objects in large pictures: what a second look at a window is worth, and what it costs.

    python -m benchmarks.zoom [--scenes 3] [--clicks 20]

Scenes of 4000x3000 are drawn with objects of 0.5 to 3% of its width and with large ones, and each is asked for by one
click, by its box as a batch has it, and by one that is up to a tenth off, as a detector of words gives it, with
`model_zoom` "false" and "auto" (demo model); and how many of them everything mode finds. Then, on scenes of 1920x1080,
how many clicks take a second look. Then the time of a second click on the same small object, with and without; and with
the real tiny architecture and random weights, which cost the same, that of the first click on an encoded picture with
the second look in it.
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
from label_studio_sam2.engine.image.found_object import Cutout
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.types import Area, Bitmap, Box, Picture, Point, Prompt, View, Zoom

from demo_model.metrics import box_of, deepest, iou
from demo_model.scenes import LOOKS, Scene, background, draw_scene, finish, random_sprite, scene_rng
from demo_model.shapes import Difficulty
from demo_model.sprites import Pose
from demo_model.textures import Style
from tests.fakes.networks import CPU, demo_model, random_checkpoint

WIDTH, HEIGHT = 4000, 3000
SMALL, LARGE = (0.005, 0.03), (0.15, 0.35)
"""Widths of objects, in widths of the picture."""
EACH = 9, 3
MEDIUM = 0.15
ZOOMS: tuple[Zoom, Zoom] = ("false", "auto")
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
        for prompted in ("click", "box", "words", "everything"):
            chosen = [row for row in rows if row[:2] == (small, prompted)]
            without, auto = (fmean(row[place] for row in chosen) for place in (2, 3))
            name = f"{'small' if small else 'large'}, {prompted}"
            print(f"{name:18}{len(chosen):9}{without:12.3f}{auto:11.3f}{auto - without:8.3f}")
    looks = [
        look
        for kind in LOOKS
        for seed in range(arguments.first, arguments.first + arguments.scenes)
        for look in second_looks(kind, seed)
    ]
    print(f"\n{'1920x1080':18}{'clicks':>9}{'second look':>13}{'windows encoded':>17}")
    for where in ("medium", "large", "background"):
        taken = [look for name, look, _ in looks if name == where]
        windows = sum(windows for name, _, windows in looks if name == where)
        print(f"{where:18}{len(taken):9}{fmean(taken):13.2f}{windows:17}")
    ratio, _ = second_click(demo_model(), arguments.clicks)
    print(f"\nsecond click on a small object, demo model: {ratio:.2f} x a click without zoom")
    with TemporaryDirectory() as folder:
        tiny = load(str(random_checkpoint(Path(folder))), Path(), CPU)
        ratio, first = second_click(tiny, 5, by_box=True)
    print(
        f"the same after a box, real tiny architecture: {ratio:.2f} x (of random weights both looks are decoded, as "
        f"neither shows an object); the first, with its second look: {first:.2f} s"
    )


def compared(kind: Difficulty, seed: int) -> Iterator[tuple[bool, str, float, float]]:
    """For each object, small or large, and each prompt: IoU without and with a second look."""
    scene = drawn(kind, seed)
    segmenter, picture = opened(demo_model(), scene, f"{kind}{seed}")
    embedded = segmenter.embed(picture)
    rng = np.random.default_rng(seed)
    boxes = [Box(*map(float, box_of(truth))) for truth in scene.masks]
    rough = [moved(box, rng) for box in boxes]
    looks = {
        zoom: Looking(segmenter, demo_model(), picture, embedded, zoom).expecting(
            [Prompt(box=box) for box in [*boxes, *rough]]
        )
        for zoom in ZOOMS
    }
    every = {
        zoom: segmenter.everything(
            demo_model(), picture, embedded, grid=Grid.of(embedded.size, demo_model(), zoom)
        )
        for zoom in ZOOMS
    }
    for truth, box, near in zip(scene.masks, boxes, rough, strict=True):
        x, y = deepest(truth)
        small = box.x1 - box.x0 < LARGE[0] / 2 * WIDTH
        prompts = {
            "click": Prompt((Point(x + 0.5, y + 0.5),)),
            "box": Prompt(box=box),
            "words": Prompt(box=near),
        }
        for name, prompt in prompts.items():
            masks = [mask for zoom in ZOOMS for (mask,) in looks[zoom].segment([prompt])]
            yield small, name, iou(masks[0].bitmap, truth), iou(masks[1].bitmap, truth)
        cut = Cutout.of(truth)
        assert cut is not None
        best = [max((cut.overlap(one) for one in every[zoom]), default=0.0) for zoom in ZOOMS]
        yield small, "everything", best[0], best[1]
    segmenter.close()


def moved(box: Box, rng: np.random.Generator) -> Box:
    """Each edge by up to a tenth of the box's side."""
    sides = np.array([box.x1 - box.x0, box.y1 - box.y0] * 2)
    x0, y0, x1, y1 = (np.array(box) + rng.uniform(-0.1, 0.1, 4) * sides).clip(0, (WIDTH, HEIGHT) * 2)
    return Box(float(x0), float(y0), float(x1), float(y1))


def second_looks(kind: Difficulty, seed: int) -> Iterator[tuple[str, bool, int]]:
    """Of clicks at random places: on a medium object (under 15% of the width), a large one, or the background; whether
    a second look was taken, and how many windows were encoded for it."""
    scene = draw_scene(seed, difficulty=kind, width=1920, height=1080)
    segmenter, picture = opened(demo_model(), scene, f"{kind}{seed} small")
    embedded = segmenter.embed(picture)
    rng = np.random.default_rng(seed)
    parts: list[Area | None] = []

    def view(area: Area | None) -> View:
        parts.append(area)
        return picture.viewed(area)

    for label in range(int(scene.labels.max()) + 1):
        rows, columns = np.nonzero(scene.labels == label)
        wide = np.ptp(columns) / scene.labels.shape[1]
        name = "background" if not label else "medium" if wide < MEDIUM else "large"
        for at in rng.integers(len(rows), size=6):
            click, taken = Prompt((Point(columns[at] + 0.5, rows[at] + 0.5),)), []
            for digest in (f"{label} {at}", "all clicks"):
                shown = Picture(digest, picture.load, view=view)
                parts.clear()
                list(Looking(segmenter, demo_model(), shown, embedded).segment([click]))
                taken.append(len(parts))
            yield name, taken[0] > 0, taken[1]
    segmenter.close()


def second_click(model: Model, clicks: int, *, by_box: bool = False) -> tuple[float, float]:
    """The time of a second click with a second look by that without; and the seconds of the first answer on an encoded
    picture with the second look in it, of which most is encoding the window. `by_box`: the first prompt is a box, which
    makes sure of the window whatever random weights make of a click."""
    scene = drawn("plain", 100)
    truth: Bitmap = min(scene.masks, key=np.count_nonzero)
    box = Box(*map(float, box_of(truth)))
    x, y = deepest(truth)
    first = Prompt(box=box) if by_box else Prompt((Point(x + 0.5, y + 0.5),))
    times: dict[Zoom, list[float]] = {"auto": [], "false": []}
    looks = {}
    for zoom in times:  # each remembers its own clicks
        segmenter, picture = opened(model, scene, "timed")
        looks[zoom] = Looking(segmenter, model, picture, segmenter.embed(picture), zoom)
    looked = timed(looks["auto"], first)
    timed(looks["false"], first)
    rng = np.random.default_rng(0)
    for _ in range(clicks + 2):
        again = Point(float(rng.uniform(box.x0, box.x1)), float(rng.uniform(box.y0, box.y1)))
        for zoom, taken in times.items():
            taken.append(timed(looks[zoom], replace(first, points=(*first.points, again))))
    for looking in looks.values():
        looking.segmenter.close()
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
