from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.image import decoding, encoding
from label_studio_sam2.engine.image.upsampling import upsample
from label_studio_sam2.engine.model import Model, load
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Bitmap, Box, PackedMask, Pixels, Point, Prompt
from numpy.typing import NDArray
from sam2.sam2_image_predictor import SAM2ImagePredictor

from demo_model.scenes import draw_scene
from tests.fakes.networks import CPU, demo_model, random_checkpoint

CLICK = Prompt((Point(300.5, 200.25),))
BOX = Prompt((), Box(100, 50, 420, 390))
SEVERAL = Prompt((Point(300, 200), Point(20, 30, positive=False), Point(340, 220)))
BOX_AND_CLICK = Prompt((Point(300, 200, positive=False),), Box(100, 50, 420, 390))
PROMPTS = [CLICK, BOX, SEVERAL, BOX_AND_CLICK]


def _stock(model: Model, pixels: Pixels) -> SAM2ImagePredictor:
    """The stock predictor; it hard-codes feature sizes for 1024 px, so they are derived from the model."""
    predictor = SAM2ImagePredictor(model.network)
    side = model.image_size
    predictor._bb_feat_sizes = [(side // stride,) * 2 for stride in (4, 8, 16)]
    predictor.set_image(pixels)
    return predictor


def _stock_best(
    predictor: SAM2ImagePredictor, prompt: Prompt, previous: NDArray[Any] | None = None
) -> Bitmap:
    masks, scores, _ = predictor.predict(
        point_coords=np.array([point[:2] for point in prompt.points]) if prompt.points else None,
        point_labels=np.array([point.positive for point in prompt.points], int) if prompt.points else None,
        box=np.array(prompt.box) if prompt.box else None,
        mask_input=None if previous is None else previous[None],
        multimask_output=prompt.ambiguous,
    )
    return np.asarray(masks[np.argmax(scores)] > 0)


@pytest.fixture(scope="module")
def picture() -> Pixels:
    return draw_scene(3, width=640, height=480).image


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("tiny")
    return load(str(random_checkpoint(folder)), folder, CPU)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
@pytest.mark.parametrize("prompt", PROMPTS)
def test_masks_equal_the_stock_predictors_in_every_pixel_when_cached_in_fp32(
    prompt: Prompt, picture: Pixels
) -> None:
    model = demo_model()
    with torch.inference_mode():
        prepared = decoding.prepare(model, encoding.encode(model, picture, np.float32))
        mask = upsample(decoding.decode(prepared, prompt).logits[0], prepared.size)
        assert np.array_equal(mask, _stock_best(_stock(model, picture), prompt))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_the_real_architecture_equals_the_stock_predictor_too(tiny: Model, picture: Pixels) -> None:
    with torch.inference_mode():
        stock = _stock(tiny, picture)
        exact = encoding.encode(tiny, picture, np.float32)
        halved = replace(exact, features=tuple(level.astype(np.float16) for level in exact.features))
        ready = [decoding.prepare(tiny, embedding) for embedding in (exact, halved)]
        for prompt in PROMPTS:
            truth = _stock_best(stock, prompt)
            mask, near = (
                upsample(decoding.decode(prepared, prompt).logits[0], exact.size) for prepared in ready
            )
            assert np.array_equal(mask, truth)
            assert iou(near, truth) >= 0.999


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_fed_back_logits_give_what_the_stock_predictor_gives_with_them(picture: Pixels) -> None:
    model = demo_model()
    with torch.inference_mode():
        prepared = decoding.prepare(model, encoding.encode(model, picture, np.float32))
        previous = decoding.decode(prepared, CLICK).logits[0]
        mask = upsample(decoding.decode(prepared, SEVERAL, previous).logits[0], prepared.size)
        assert np.array_equal(mask, _stock_best(_stock(model, picture), SEVERAL, previous))


def test_a_single_click_has_three_candidates_the_best_rated_first_and_several_have_one(
    picture: Pixels,
) -> None:
    with torch.inference_mode():
        prepared = decoding.prepare(demo_model(), encoding.encode(demo_model(), picture, np.float16))
        single = decoding.decode(prepared, CLICK)
        several = decoding.decode(prepared, SEVERAL)
    assert len(single.scores) == 3
    assert list(single.scores) == sorted(single.scores, reverse=True)
    assert len(several.scores) == 1


def test_a_batch_of_clicks_gives_what_each_gives_alone(picture: Pixels) -> None:
    clicks = np.array([[300, 200], [50, 60], [600, 400]], np.float32)
    with torch.inference_mode():
        prepared = decoding.prepare(demo_model(), encoding.encode(demo_model(), picture, np.float32))
        logits, scores = decoding.decode_points(prepared, clicks)
        for click, candidates, rated in zip(clicks, logits, scores, strict=True):
            alone = decoding.decode(prepared, Prompt((Point(float(click[0]), float(click[1])),)))
            best = upsample(candidates[rated.argmax()], prepared.size)
            assert iou(best, upsample(alone.logits[0], prepared.size)) > 0.999


def test_a_mask_as_prompt_is_found_again(picture: Pixels) -> None:
    scene = draw_scene(3, width=640, height=480)
    truth = max(scene.masks, key=lambda mask: int(mask.sum()))
    with torch.inference_mode():
        prepared = decoding.prepare(demo_model(), encoding.encode(demo_model(), picture, np.float16))
        decoded = decoding.decode(prepared, Prompt(mask=PackedMask.of(truth)))
    assert iou(upsample(decoded.logits[0], prepared.size), truth) > 0.7


def test_preprocessing_equals_the_stock_transforms(picture: Pixels) -> None:
    from torchvision.transforms import Normalize, Resize, ToTensor  # noqa: PLC0415  slow to import

    stock = Normalize(encoding.MEAN, encoding.STD)(Resize((256, 256))(ToTensor()(picture)))
    assert torch.equal(encoding.preprocess(picture, 256), stock)


def test_a_packed_mask_is_the_mask_it_was_made_of() -> None:
    bitmap = np.random.default_rng(0).random((13, 7)) > 0.5
    assert np.array_equal(PackedMask.of(bitmap).bitmap(), bitmap)
    assert hash(PackedMask.of(bitmap)) == hash(PackedMask.of(bitmap.copy()))
