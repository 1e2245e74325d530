"""Held-out pictures through the stock `SAM2ImagePredictor`."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.modeling.sam2_base import SAM2Base
from sam2.sam2_image_predictor import SAM2ImagePredictor

from demo_model.metrics import Estimate, box_of, deepest, iou
from demo_model.scenes import Scene, draw_scene
from demo_model.shapes import Difficulty

WIDTH, HEIGHT = 512, 384
_TIMED_CALLS = 30


@dataclass(frozen=True)
class ObjectResult:
    """What one object's prompts gave, as IoUs; `clicked` is the mask of the single click, (H, W)."""

    place: tuple[int, int]
    clicked: NDArray[np.bool_]
    click: float
    best_of_three: float
    box: float
    three_clicks: float


@dataclass(frozen=True)
class SceneResult:
    """A held-out picture and how its objects fared."""

    scene: Scene
    objects: list[ObjectResult]

    def mean(self, figure: str) -> float:
        """A figure's mean over the picture's objects."""
        return float(np.mean([getattr(result, figure) for result in self.objects]))


def image_predictor(model: SAM2Base) -> SAM2ImagePredictor:
    """The stock predictor, with the feature sizes that it otherwise assumes for 1024 pixels."""
    predictor = SAM2ImagePredictor(model)
    predictor._bb_feat_sizes = [(model.image_size // stride,) * 2 for stride in (4, 8, 16)]
    return predictor


def evaluate_scenes(model: SAM2Base, difficulty: Difficulty, count: int) -> list[SceneResult]:
    """Prompt every object of the first `count` held-out pictures."""
    predictor = image_predictor(model)
    results = []
    with torch.inference_mode():
        for seed in range(count):
            scene = draw_scene(seed, difficulty=difficulty, split="held_out", width=WIDTH, height=HEIGHT)
            predictor.set_image(scene.image)
            results.append(SceneResult(scene, [_prompt(predictor, mask) for mask in scene.masks]))
    return results


def summarise_scenes(results: list[SceneResult]) -> dict[str, Estimate]:
    """The image rows of the table."""
    figures = {
        name: Estimate.of([result.mean(name) for result in results if result.objects])
        for name in ("click", "box", "three_clicks", "best_of_three")
    }
    gaps = [result.mean("best_of_three") - result.mean("click") for result in results if result.objects]
    return figures | {"choice_gap": Estimate.of(gaps)}


def measure_speed(model: SAM2Base) -> dict[str, float]:
    """Milliseconds of processor time for one encode and one decode: the median of several calls.

    With one torch thread that is what they take on a core of their own, however busy the machine is.
    """
    predictor = image_predictor(model)
    scene = draw_scene(0, width=WIDTH, height=HEIGHT)
    picture = predictor._transforms(scene.image)[None]
    coordinates, labels = torch.tensor([[[100.0, 100.0]]]), torch.tensor([[1]])
    times: dict[str, list[float]] = {"encode": [], "decode": []}
    with torch.inference_mode():
        predictor.set_image(scene.image)
        for _ in range(_TIMED_CALLS):
            began = time.process_time()
            model.forward_image(picture)
            encoded = time.process_time()
            predictor._predict(coordinates, labels, multimask_output=True, return_logits=True)
            times["encode"].append(encoded - began)
            times["decode"].append(time.process_time() - encoded)
    return {name: round(1000 * float(np.median(values)), 1) for name, values in times.items()}


def _prompt(predictor: SAM2ImagePredictor, truth: NDArray[np.bool_]) -> ObjectResult:
    """One click, a box and two corrections of the click."""
    place = deepest(truth)
    masks, scores, logits = predictor.predict(np.array([place]), np.array([1]), multimask_output=True)
    ious = [iou(mask > 0, truth) for mask in masks]
    chosen = int(scores.argmax())
    boxed, _, _ = predictor.predict(box=np.array(box_of(truth)), multimask_output=False)
    return ObjectResult(
        place=place,
        clicked=masks[chosen] > 0,
        click=ious[chosen],
        best_of_three=max(ious),
        box=iou(boxed[0] > 0, truth),
        three_clicks=_correct(predictor, truth, place, masks[chosen] > 0, logits[chosen]),
    )


def _correct(
    predictor: SAM2ImagePredictor,
    truth: NDArray[np.bool_],
    place: tuple[int, int],
    mask: NDArray[np.bool_],
    logits: NDArray[np.float32],
) -> float:
    """Two more clicks, each in the middle of the largest error that is left, with the logits fed back."""
    places, labels = [place], [1]
    for _ in range(2):
        missed, spilt = truth & ~mask, mask & ~truth
        inside = np.count_nonzero(missed) >= np.count_nonzero(spilt)
        places.append(deepest(missed if inside else spilt))
        labels.append(int(inside))
        masks, _, low = predictor.predict(
            np.array(places), np.array(labels), mask_input=logits[None], multimask_output=False
        )
        mask, logits = masks[0] > 0, low[0]
    return iou(mask, truth)
