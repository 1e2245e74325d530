"""Pictures of a training run: held-out examples and curves."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_model.checkpoints import RUN
from demo_model.image_evaluation import HEIGHT, WIDTH, SceneResult
from demo_model.shapes import Difficulty
from demo_model.textures import Pixels

_COLUMNS = 5
_TILE = (320, 240)  # width, height
_TRUE, _PREDICTED, _INK = (255, 255, 255), (255, 60, 60), (20, 20, 20)
_CURVES = {
    "click_chosen": (40, 90, 170),
    "click_best": (140, 180, 230),
    "box": (200, 90, 40),
    "track": (40, 140, 90),
    "found_again": (150, 90, 170),
}
_CHART, _MARGIN = (900, 420), 50


def draw_examples(path: Path, pictures: dict[Difficulty, list[SceneResult]]) -> None:
    """Five pictures of each difficulty, from the best to the worst by the IoU of single clicks."""
    rows = [np.hstack([_tile(result) for result in _spread(results)]) for results in pictures.values()]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def _spread(results: list[SceneResult]) -> list[SceneResult]:
    """The best, the worst and those at the quarters between them."""
    ranked = sorted((r for r in results if r.objects), key=lambda result: -result.mean("click"))
    return [ranked[round(place)] for place in np.linspace(0, len(ranked) - 1, _COLUMNS)]


def _tile(result: SceneResult) -> Pixels:
    """A picture with each object's true edge in white, the predicted one in red, and the click."""
    drawn = result.scene.image.copy()
    for truth, found in zip(result.scene.masks, result.objects, strict=True):
        _outline(drawn, truth, _TRUE)
        _outline(drawn, found.clicked, _PREDICTED)
        cv2.circle(drawn, found.place, 5, _TRUE, -1, cv2.LINE_AA)
        cv2.circle(drawn, found.place, 3, _INK, -1, cv2.LINE_AA)
    cv2.rectangle(drawn, (0, HEIGHT - 26), (96, HEIGHT), _INK, -1)
    cv2.putText(drawn, f"IoU {result.mean('click'):.2f}", (6, HEIGHT - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _TRUE, 1,
                cv2.LINE_AA)  # fmt: skip
    assert drawn.shape[:2] == (HEIGHT, WIDTH)
    return np.asarray(cv2.resize(drawn, _TILE, interpolation=cv2.INTER_AREA), np.uint8)


def _outline(picture: Pixels, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_AA)


def draw_curves(log: Path, path: Path) -> None:
    """IoU on training batches over the steps, from a run's log."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    width, height = _CHART
    chart = np.full((height, width, 3), 255, np.uint8)
    first, last = rows[0]["total_steps"], rows[-1]["total_steps"]
    for level in np.linspace(0, 1, 6):
        y = _y(float(level))
        cv2.line(chart, (_MARGIN, y), (width - 10, y), (225, 225, 225), 1)
        _write(chart, f"{level:.1f}", (12, y + 4), _INK)
    for number, (name, colour) in enumerate(_CURVES.items()):
        points = [(row["total_steps"], row[name]) for row in rows if name in row]
        _curve(chart, points, (first, last), colour)
        _write(chart, name.replace("_", " "), (_MARGIN + 10 + 150 * number, 20), colour)
    title = f"IoU on training batches from step {first:,} to {last:,}"
    _write(chart, title, (_MARGIN + 10, height - 15), _INK)
    cv2.imwrite(str(path), chart[..., ::-1])


def _curve(
    chart: Pixels, points: list[tuple[int, float]], span: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """A smoothed line through (step, value) points; the chart is as wide as the span of steps."""
    if not points:
        return
    places, values = (np.array(column, float) for column in zip(*points, strict=True))
    kernel = np.ones(min(9, len(values)))
    smooth = np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")
    x = _MARGIN + (places - span[0]) / max(1, span[1] - span[0]) * (_CHART[0] - _MARGIN - 10)
    y = [_y(float(value)) for value in smooth]
    cv2.polylines(chart, [np.stack([x, y], axis=1).astype(np.int32)], False, colour, 2, cv2.LINE_AA)


def _y(value: float) -> int:
    """The row of the chart that stands for a value between 0 and 1."""
    return round(_CHART[1] - _MARGIN - value * (_CHART[1] - 2 * _MARGIN + 10))


def _write(chart: Pixels, text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(chart, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)


def main() -> None:
    """The command that draws a run's curves."""
    parser = argparse.ArgumentParser(
        prog="python -m demo_model.report", description="Draw a training run's curves."
    )
    parser.add_argument("--run", type=Path, default=RUN, help="directory of the training run")
    parser.add_argument("--out", type=Path, required=True, help="the picture to write")
    options = parser.parse_args()
    draw_curves(options.run / "log.jsonl", options.out)


if __name__ == "__main__":
    main()
