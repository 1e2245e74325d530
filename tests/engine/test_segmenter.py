from __future__ import annotations

import copy
from itertools import product

import numpy as np
import torch
from label_studio_sam2.engine.cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import PREPARED_PICTURES, Segmenter
from label_studio_sam2.types import Picture, Point, Prompt

from demo_model.scenes import draw_scene
from tests.engine.networks import demo_model


def shifted_by(amount: float) -> Model:
    """Another decoder on the same network, as tuning makes one."""
    decoder = copy.deepcopy(demo_model().decoder)
    with torch.no_grad():
        for weight in decoder.transformer.layers[0].parameters():
            weight.add_(amount * weight.std())
    return demo_model().tuned(decoder, f"project{amount}.v1")


def test_no_picture_and_no_version_is_answered_with_what_was_prepared_for_another() -> None:
    pictures = [
        Picture(f"p{n}", lambda n=n: draw_scene(n, width=160, height=120).image)  # type: ignore[misc]
        for n in range(PREPARED_PICTURES)
    ]
    asked = list(product(pictures, [demo_model(), shifted_by(0.1)]))
    lane, cache, rng = Lane(), EmbeddingCache(1 << 28), np.random.default_rng(0)

    def scores(segmenter: Segmenter, picture: Picture, model: Model, prompt: Prompt) -> list[float]:
        (masks,) = segmenter.segment(segmenter.embed(picture), [prompt], model=model, candidates=3)
        return [mask.score for mask in masks]

    shared = Segmenter(demo_model(), cache, lane)
    for number in rng.permutation(np.arange(3 * len(asked)) % len(asked)):
        click = Prompt((Point(*rng.uniform(10, 100, 2).tolist()),))
        alone = Segmenter(demo_model(), cache, lane)
        assert scores(shared, *asked[number], click) == scores(alone, *asked[number], click)
    shared.close()
