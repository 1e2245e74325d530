"""What ships in the package: the checkpoint, its config, the samples and their truth."""

from __future__ import annotations

import json

import av
import cv2
import numpy as np
import pytest
import torch
from label_studio_sam2 import demo
from safetensors import safe_open

from demo_model.evaluate import load
from demo_model.image_evaluation import image_predictor
from demo_model.metrics import iou


def test_the_checkpoint_is_small_and_says_where_it_comes_from() -> None:
    assert demo.CHECKPOINT.stat().st_size < 10_000_000
    with safe_open(demo.CHECKPOINT, framework="pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} <= {torch.float16}  # noqa: SIM118
    assert {"training_commit", "data_seed", "steps", "evaluation"} <= set(metadata)
    assert int(metadata["steps"]) > 0
    assert {"plain", "hard"} <= set(json.loads(metadata["evaluation"]))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
def test_the_checkpoint_fits_its_config_and_segments_the_sample() -> None:
    model = load(demo.CHECKPOINT)  # strict
    predictor = image_predictor(model)
    picture = cv2.imread(str(demo.SAMPLE_IMAGE))
    assert picture is not None
    masks = demo.sample_masks()
    with torch.inference_mode():
        predictor.set_image(np.ascontiguousarray(picture[..., ::-1]))
        for prompt in demo.sample_prompts():
            truth = masks[prompt.object]
            clicked, scores, _ = predictor.predict(np.array([prompt.click]), np.array([1]))
            both, _, _ = predictor.predict(
                np.array([prompt.click, prompt.outside]), np.array([1, 0]), multimask_output=False
            )
            boxed, _, _ = predictor.predict(box=np.array(prompt.box), multimask_output=False)
            for found in (clicked[scores.argmax()], both[0], boxed[0]):
                assert iou(found > 0, truth) >= 0.85, prompt.name


def test_the_sample_prompts_lie_where_they_say() -> None:
    masks = demo.sample_masks()
    for prompt in demo.sample_prompts():
        truth = masks[prompt.object]
        assert truth[prompt.click[1], prompt.click[0]]
        assert not truth[prompt.outside[1], prompt.outside[0]]
        left, top, right, bottom = prompt.box
        assert truth[top:bottom, left:right].sum() == truth.sum()


def test_the_sample_clip_has_a_true_mask_for_every_frame() -> None:
    masks = demo.sample_clip_masks()
    with av.open(str(demo.SAMPLE_CLIP)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert (len(frames), *frames[0].shape[:2]) == (masks.shape[0], *masks.shape[2:])
    assert demo.SAMPLE_CLIP.stat().st_size < 1_000_000
    seen = masks.any(axis=(2, 3))
    assert seen[:, 1].all()
    assert not seen[20:25, 0].any()
    assert seen[:19, 0].all()
    assert seen[27:, 0].all()
