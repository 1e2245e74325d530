"""What is asked of a cached picture side is what the library itself answers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.cache.embedding import from_bytes, to_bytes
from label_studio_sam2.engine.words import owlv2
from label_studio_sam2.engine.words.boxes import Queries, rated
from label_studio_sam2.engine.words.owlv2 import Owlv2
from label_studio_sam2.engine.words.tokens import Tokens
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.types import Pixels, Size

from demo_model.scenes import draw_scene
from tests.fakes.detectors import BASE, SMALL, random_owlv2

PHRASES = ("a red car", "two words", "van")
CPU = torch.device("cpu")
SIZE = Size(300, 200)


@pytest.fixture(
    scope="module",
    params=[pytest.param(SMALL, id="small"), pytest.param(BASE, id="base", marks=pytest.mark.slow)],
)
def detector(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Owlv2:
    folder = random_owlv2(tmp_path_factory.mktemp("detector"), request.param)
    return owlv2.load(str(folder), Path(), CPU)


def picture(size: Size) -> Pixels:
    return draw_scene(5, width=size.width, height=size.height).image


def answered_by_the_library(detector: Owlv2, pixels: Pixels) -> dict[str, Any]:
    """All tokens, so that the library is asked once."""
    inputs = detector.processor(text=[list(PHRASES)], images=pixels, return_tensors="pt")
    with torch.inference_mode():
        outputs = detector.network(**inputs)
    (found,) = detector.processor.post_process_grounded_object_detection(
        outputs, threshold=0.0, target_sizes=[pixels.shape[:2]]
    )
    return {name: np.asarray(value) for name, value in found.items() if value is not None}


@cache
def looked_at(detector: Owlv2, size: Size) -> Tokens:
    with torch.inference_mode():
        return detector.look(detector.prepare(picture(size)))


def answered(detector: Owlv2, size: Size, least: float, store: Any) -> Any:
    tokens = looked_at(detector, size)
    with torch.inference_mode():
        vectors = detector.read(PHRASES)
    kept = from_bytes(to_bytes(tokens.embedding(size, "here", store)), "here")
    assert kept is not None
    queries = Queries(vectors, np.arange(len(PHRASES)), np.ones(len(PHRASES), np.float32))
    return rated(Tokens.of(kept), queries, size, least)


def test_boxes_and_scores_are_the_librarys_own(detector: Owlv2) -> None:
    every = answered_by_the_library(detector, picture(SIZE))
    least = float(np.median(every["scores"]))
    expected = {name: value[every["scores"] > least] for name, value in every.items()}
    found = answered(detector, SIZE, least, np.float32)
    assert len(expected["scores"]) > 10
    assert len(set(expected["labels"])) > 1
    np.testing.assert_array_equal(found.query, expected["labels"])
    np.testing.assert_allclose(found.score, expected["scores"], atol=2e-6)
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=1e-3)


def test_looks_kept_in_half_precision_change_no_score_by_a_thousandth(detector: Owlv2) -> None:
    exact, kept = (answered(detector, SIZE, 0.0, store) for store in (np.float32, np.float16))
    np.testing.assert_allclose(kept.score, exact.score, atol=1e-3)
    np.testing.assert_array_equal(kept.boxes, exact.boxes)


def test_a_folder_of_another_kind_of_model_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match="type detr"):
        owlv2.load(str(tmp_path), Path(), CPU)
