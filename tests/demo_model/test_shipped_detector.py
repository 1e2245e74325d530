"""The detector that ships in the package: the library's own classes load it, and it answers words."""

from __future__ import annotations

import json

import cv2
import pytest
import torch
from label_studio_sam2 import demo
from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

from demo_model import evaluate as demo_evaluation
from demo_model.detector.detect import THRESHOLD, Detector
from demo_model.detector.network import FOLDER, encode_pictures, encode_text, load, notes
from demo_model.detector.scenes import draw_scene
from demo_model.image_evaluation import image_predictor
from demo_model.metrics import iou


def test_it_is_small_and_loads_with_the_librarys_own_classes() -> None:
    files = list(FOLDER.iterdir())
    assert not [file for file in files if file.suffix == ".py"]
    assert sum(file.stat().st_size for file in [*files, demo.CHECKPOINT]) < 10_000_000
    processor = AutoProcessor.from_pretrained(FOLDER, local_files_only=True)
    model = AutoModelForZeroShotObjectDetection.from_pretrained(
        FOLDER, local_files_only=True, dtype=torch.float32
    )
    assert model.config.detection_threshold == THRESHOLD
    inputs = processor(images=draw_scene(1).image, text=[["ring", "red star"]], return_tensors="pt")
    with torch.inference_mode():
        asked = model(**inputs)
        features, _ = encode_pictures(model, inputs["pixel_values"])
        words = encode_text(model, inputs["input_ids"], inputs["attention_mask"])
        logits = model.class_predictor(features, words[None])[0]
    assert torch.allclose(asked.logits, logits)  # training sees what the library computes


def test_it_says_how_it_was_trained_and_what_it_reaches() -> None:
    noted = notes()
    assert int(noted["steps"]) > 0
    assert {"colours", "shapes", "phrases", "unknown"} <= set(json.loads(noted["evaluation"])["figures"])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # the stock predictor's own transforms
def test_words_for_the_sample_picture_become_the_masks_of_what_they_name() -> None:
    image = cv2.imread(str(demo.SAMPLE_IMAGE))
    assert image is not None
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    texts = {"blue ring": 0, "red star": 1, "green rectangle": 3}
    absent = ["red ring", "green star", "cat"]
    answers = Detector(*load()).find(image, [*texts, *absent])
    predictor = image_predictor(demo_evaluation.load(demo.CHECKPOINT))
    predictor.set_image(image)
    for (words, number), found in zip(texts.items(), answers, strict=False):
        assert found.scores[0] > THRESHOLD, words
        mask = predictor.predict(box=found.boxes[0], multimask_output=False)[0][0] > 0
        assert iou(mask, demo.sample_masks()[number]) > 0.8, words
    for words, found in zip(absent, answers[len(texts) :], strict=True):
        assert not len(found.above(THRESHOLD).scores), words
