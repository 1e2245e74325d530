"""Measure a detector on held-out scenes: `python -m demo_model.detector.evaluate`.

Words are asked through the library's own processor and network, boxes go on to the stock `SAM2ImagePredictor`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.sam2_image_predictor import SAM2ImagePredictor

from demo_model import evaluate as demo_evaluation
from demo_model.detector.detect import THRESHOLD, Detector, Found
from demo_model.detector.network import FOLDER, load
from demo_model.detector.scenes import Scene, draw_scene
from demo_model.detector.scoring import Verdict, box_ious, judged, mean_precision
from demo_model.detector.vocabulary import (
    COLOURS,
    SHAPES,
    UNKNOWN,
    Query,
    colour_query,
    phrase_query,
    shape_query,
)
from demo_model.image_evaluation import image_predictor
from demo_model.metrics import Estimate, box_of, iou
from demo_model.model import CHECKPOINT

QUERIES: dict[str, list[Query]] = {
    "colours": [colour_query(colour) for colour in COLOURS],
    "shapes": [shape_query(shape) for shape in SHAPES],
    "phrases": [phrase_query(colour, shape) for colour in COLOURS for shape in SHAPES],
    "unknown": [Query(word, known=False) for word in UNKNOWN["held_out"]],
}
_EVERY = [query for queries in QUERIES.values() for query in queries]
_FIGURES = {
    "ap": "AP50",
    "found": "found",
    "absent": "answered though absent",
    "box": "box IoU",
    "mask": "mask IoU",
}
_MEANT = {
    ("colours", "ap"): "≥ 0.85",
    ("shapes", "ap"): "≥ 0.65",
    ("phrases", "ap"): "≥ 0.70",
    ("colours", "mask"): "≥ 0.80",
    ("shapes", "mask"): "≥ 0.80",
    ("phrases", "mask"): "≥ 0.80",
} | {(kind, "absent"): "≤ 0.15" for kind in QUERIES}
_TIMED_CALLS = 20


@dataclass
class Tally:
    """Of one kind of query: verdicts by query, and one list a picture of each other figure's values."""

    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    found: list[list[float]] = field(default_factory=list)
    absent: list[list[float]] = field(default_factory=list)
    box: list[list[float]] = field(default_factory=list)
    mask: list[list[float]] = field(default_factory=list)

    def figures(self) -> dict[str, Estimate]:
        """The row of the table."""
        rows = {name: _over_pictures(getattr(self, name)) for name in ("found", "absent", "box", "mask")}
        rows = {name: estimate for name, estimate in rows.items() if estimate.count}
        wanted = any(verdict.wanted for verdicts in self.verdicts.values() for verdict in verdicts)
        return ({"ap": mean_precision(self.verdicts)} if wanted else {}) | rows


def evaluate(
    detector: Detector, predictor: SAM2ImagePredictor | None, scenes: int
) -> dict[str, dict[str, Estimate]]:
    """Figures by kind of query; without a predictor no masks."""
    tallies = {kind: Tally() for kind in QUERIES}
    texts = [query.text for query in _EVERY]
    for seed in range(scenes):
        scene = draw_scene(seed)
        answers = dict(zip(texts, detector.find(scene.image, texts), strict=True))
        masks = Masks(scene, predictor)
        for kind, queries in QUERIES.items():
            _count(tallies[kind], scene, [(query, answers[query.text]) for query in queries], masks)
    return {kind: tally.figures() for kind, tally in tallies.items()}


class Masks:
    """What SAM 2 makes of boxes on a scene; nothing is encoded before the first."""

    def __init__(self, scene: Scene, predictor: SAM2ImagePredictor | None) -> None:
        self._scene, self._predictor = scene, predictor
        self._encoded = False

    @torch.inference_mode()
    def overlap(self, box: NDArray[np.float32], thing: int) -> Iterator[float]:
        """IoU of a box's mask with a thing's; nothing without a predictor."""
        if self._predictor is None:
            return
        if not self._encoded:
            self._predictor.set_image(self._scene.image)
            self._encoded = True
        mask = self._predictor.predict(box=box, multimask_output=False)[0][0] > 0
        yield iou(mask, self._scene.masks[thing])


def _count(tally: Tally, scene: Scene, answers: list[tuple[Query, Found]], masks: Masks) -> None:
    """Add one picture to a tally."""
    boxes = np.array([box_of(mask) for mask in scene.masks], np.float64).reshape(-1, 4)
    found: list[float] = []
    absent: list[float] = []
    overlaps: list[float] = []
    mask_overlaps: list[float] = []
    for query, answer in answers:
        fits = [query.fits(thing) for thing in scene.things]
        wanted = [number for number, fit in enumerate(fits) if fit]
        maybe = [number for number, fit in enumerate(fits) if fit is None]
        verdict = judged(answer, boxes[wanted], boxes[maybe])
        tally.verdicts.setdefault(query.text, []).append(verdict)
        if not wanted and not maybe:
            absent.append(float(bool((answer.scores > THRESHOLD).any())))
        right = verdict.right & (verdict.scores > THRESHOLD)
        found += [1.0] * int(right.sum()) + [0.0] * (len(wanted) - int(right.sum()))
        overlaps += verdict.overlaps[right].tolist()
        for box in answer.above(THRESHOLD).boxes if wanted else ():
            near = box_ious(box, boxes[wanted])[0]
            if near.max() >= 0.5:
                mask_overlaps += masks.overlap(box, wanted[int(near.argmax())])
    tally.found.append(found)
    tally.absent.append(absent)
    tally.box.append(overlaps)
    tally.mask.append(mask_overlaps)


def _over_pictures(values: list[list[float]]) -> Estimate:
    """Mean over pictures of each one's mean; pictures without any value don't count."""
    means = [float(np.mean(inside)) for inside in values if inside]
    return Estimate.of(means) if means else Estimate(float("nan"), float("nan"), 0)


def markdown(figures: dict[str, dict[str, Estimate]]) -> str:
    """The table, with standard errors and what each figure is meant to reach."""
    titles = {
        "colours": 'colours, as "red"',
        "shapes": 'shapes, as "ring"',
        "phrases": 'both, as "red ring"',
        "unknown": 'others, as "cat"',
    }
    lines = [f"| | {' | '.join(_FIGURES.values())} |", "|---" * (len(_FIGURES) + 1) + "|"]
    for kind, title in titles.items():
        cells = [_cell(figures[kind].get(name), _MEANT.get((kind, name))) for name in _FIGURES]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(estimate: Estimate | None, meant: str | None) -> str:
    if estimate is None:
        return "–"
    return f"{estimate} (meant {meant})" if meant else str(estimate)


def measure_speed(detector: Detector) -> float:
    """Milliseconds of processor time for a picture and two words that are known: the median of several calls."""
    image = draw_scene(0).image
    times = []
    for _ in range(_TIMED_CALLS):
        began = time.process_time()
        detector.find(image, ["red", "ring"])
        times.append(time.process_time() - began)
    return round(1000 * float(np.median(times)), 1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.detector.evaluate", description=__doc__)
    parser.add_argument("--detector", type=Path, default=FOLDER, help="folder of a detector")
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--no-masks", action="store_true", help="leave SAM 2 out")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector = Detector(*load(options.detector))
    predictor = None if options.no_masks else image_predictor(demo_evaluation.load(CHECKPOINT))
    figures = evaluate(detector, predictor, options.scenes)
    speed = measure_speed(detector)
    print(markdown(figures))
    print(f"\n{options.scenes} pictures, threshold {THRESHOLD}. One CPU core: {speed} ms a picture")
    if options.out:
        everything = {"figures": figures, "milliseconds": speed, "scenes": options.scenes}
        options.out.write_text(json.dumps(everything, default=asdict, indent=2) + "\n")


if __name__ == "__main__":
    main()
