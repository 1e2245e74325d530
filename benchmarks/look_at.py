"""Do the lists of what to look at first hold what is wrong? On drawn scenes and clips, with the demo model.

    python -m benchmarks.look_at [--clips 20] [--scenes 40] [--first 0]

Clips: each object of the first frame is followed from its true box. Of the frames whose J is under 0.5, which share is
in the list, and how much of everything is? Pictures: of masks from a click and from a box whose IoU is under 0.7, which
share is among the fifth that is trusted least? By the trust that predictions are sorted by, and by predicted IoU alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.labelstudio.regions import doubts
from label_studio_sam2.types import Box, FrameMask, Mask, Picture, Pixels, Point, Prompt, Size

from demo_model import clip_evaluation, image_evaluation
from demo_model.clips import Clip
from demo_model.metrics import box_of, deepest, iou
from demo_model.scenes import LEAST_AREA, Scene, draw_scene
from demo_model.shapes import Difficulty
from tests.fakes.networks import demo_model, tracker

KINDS: tuple[Difficulty, ...] = ("plain", "hard")
LOST, WRONG = 0.5, 0.7


@dataclass(frozen=True)
class Drawn:
    """A clip's first frames, as a source of frames."""

    clip: Clip
    count: int

    @property
    def size(self) -> Size:
        return Size(clip_evaluation.HEIGHT, clip_evaluation.WIDTH)

    def __len__(self) -> int:
        return self.count

    def frame(self, index: int) -> Pixels:
        return self.clip.frame(index).image

    def frames(self, span: range) -> Iterator[Pixels]:
        return (self.frame(index) for index in span)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=20, help="clips of each kind")
    parser.add_argument("--scenes", type=int, default=40, help="scenes of each kind")
    parser.add_argument(
        "--first", type=int, default=0, help="the first seed; 1000 to 1039 chose the measures"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'clips':8}{'frames':>8}{'J < 0.5':>9}{'of these in the list':>22}{'of all in the list':>20}")
    for kind in KINDS:
        seeds = range(arguments.first, arguments.first + arguments.clips)
        rows = np.array([row for seed in seeds for row in followed(seed, kind)], np.bool_)
        lost, listed = rows[:, 0], rows[:, 1]
        print(f"{kind:8}{len(rows):8}{lost.mean():9.3f}{listed[lost].mean():22.2f}{listed.mean():20.2f}")
    print(
        f"\n{'masks':8}{'':8}{'IoU < 0.7':>11}{'in the fifth trusted least':>28}{'rated least':>13}{'flagged':>9}"
    )
    scenes = range(arguments.first, arguments.first + arguments.scenes)
    for kind in KINDS:
        for prompted in ("click", "box"):
            found = [row for seed in scenes for row in masks(seed, kind, prompted)]
            wrong = np.array([right < WRONG for _, right in found])
            trust, rated = (
                np.array(row) for row in zip(*((m.trust, m.score) for m, _ in found), strict=True)
            )
            flagged = np.mean([bool(doubts.of_mask(mask)) for mask, _ in found])
            caught = [share((value <= np.quantile(value, 0.2))[wrong]) for value in (trust, rated)]
            print(f"{kind:8}{prompted:8}{wrong.mean():11.3f}{caught[0]:>28}{caught[1]:>13}{flagged:9.2f}")


def followed(seed: int, kind: Difficulty) -> Iterator[tuple[bool, bool]]:
    """For each object and later frame: whether J is under 0.5, and whether the frame is in the list."""
    clip = Clip(seed, difficulty=kind, width=clip_evaluation.WIDTH, height=clip_evaluation.HEIGHT)
    video = Drawn(clip, clip_evaluation.FRAMES)
    truths = [clip.frame(index).masks for index in range(len(video))]
    objects = [thing for thing, mask in enumerate(truths[0]) if mask.mean() >= LEAST_AREA]
    targets = {
        str(thing): Target({0: Prompt(box=box(truths[0][thing]))}, range(len(video))) for thing in objects
    }
    found: dict[str, list[FrameMask]] = {name: [] for name in targets}
    for frame_masks in tracker(demo_model().network, video).follow(targets) if targets else ():
        for one in frame_masks:
            found[one.object_id].append(one)
    for name, track in found.items():
        listed = set(doubts.doubtful({one.frame: doubts.Signals.of(one) for one in track}))
        for one in track[1:]:
            yield iou(one.bitmap, truths[one.frame][int(name)]) < LOST, one.frame in listed


def masks(seed: int, kind: Difficulty, prompted: str) -> Iterator[tuple[Mask, float]]:
    """Each object's mask from one click or its box, and its IoU with the truth."""
    scene: Scene = draw_scene(
        seed, difficulty=kind, width=image_evaluation.WIDTH, height=image_evaluation.HEIGHT
    )
    segmenter = Segmenter(demo_model(), EmbeddingCache(1 << 28), Lane())
    try:
        embedded = segmenter.embed(Picture(f"{kind}{seed}", lambda: scene.image))
        for truth in scene.masks:
            x, y = deepest(truth)
            click = Prompt((Point(x + 0.5, y + 0.5),))
            asked = click if prompted == "click" else Prompt(box=box(truth))
            ((mask,),) = segmenter.segment(demo_model(), embedded, [asked])
            yield mask, iou(mask.bitmap, truth)
    finally:
        segmenter.close()


def share(caught: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> str:
    return f"{caught.mean():.2f}" if caught.size else "none wrong"


def box(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Box:
    return Box(*map(float, box_of(mask)))


if __name__ == "__main__":
    main()
