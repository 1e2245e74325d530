"""Detectors to test with: OWLv2 with random weights, small or as published, and one that knows colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from label_studio_sam2.context import Context
from label_studio_sam2.engine.words.detector import Detector
from label_studio_sam2.engine.words.tokens import Floats, Tokens, unit
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Pixels

COLOURS = {
    "red": (200, 60, 50),
    "green": (60, 150, 80),
    "blue": (50, 110, 190),
    "yellow": (230, 200, 60),
}
BACKGROUND = (235, 232, 220)

SMALL: dict[str, Any] = {
    "text_config": {
        "vocab_size": 400,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "bos_token_id": 398,
        "eos_token_id": 399,
    },
    "vision_config": {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 96,
        "patch_size": 16,
    },
    "projection_dim": 32,
}
BASE: dict[str, Any] = {
    "text_config": {"bos_token_id": 398, "eos_token_id": 399},
    "vision_config": {"hidden_size": 768, "image_size": 960, "patch_size": 16},
}
"""What `google/owlv2-base-patch16-ensemble` says of itself beside the library's defaults; its vocabulary is larger than
the one that is written here, which costs nothing."""


def random_owlv2(folder: Path, config: dict[str, Any] | None = None) -> Path:
    """A whole folder of an OWLv2 with random weights, as `from_pretrained` reads it."""
    from transformers import (  # noqa: PLC0415  only the tests that need it wait for it
        CLIPTokenizer,
        Owlv2Config,
        Owlv2ForObjectDetection,
        Owlv2ImageProcessor,
        Owlv2Processor,
    )

    torch.manual_seed(0)
    network = Owlv2ForObjectDetection(Owlv2Config(**(config or SMALL)))
    with torch.no_grad():  # logits that differ, and boxes of all sizes
        for name, weights in network.named_parameters():
            if weights.ndim == 2 and "embedding" not in name:
                weights.normal_(std=weights.shape[1] ** -0.5)
    network.save_pretrained(folder)
    side = network.config.vision_config.image_size
    images = Owlv2ImageProcessor(size={"height": side, "width": side})
    words = CLIPTokenizer(vocab=_vocabulary(), merges=[], pad_token="!", model_max_length=16)
    Owlv2Processor(images, words).save_pretrained(folder)
    return folder


def _vocabulary() -> dict[str, int]:
    """Letters, each also at a word's end; padding is the first and the end of the text the last."""
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += [f"unused{number}" for number in range(398 - len(tokens))]
    return {token: place for place, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}


class Picture(NamedTuple):
    pixels: Pixels


class ColourDetector:
    """Finds areas of plain colours that words name: what a detector answers is then known beforehand."""

    name = "colours"
    threshold = 0.5

    def __init__(self) -> None:
        self.looked = 0
        self.read_phrases: list[str] = []

    @property
    def fingerprint(self) -> str:
        return "colours-1"

    @property
    def shape(self) -> tuple[int, int]:
        return 2 * len(COLOURS), len(COLOURS)

    def prepare(self, pixels: Pixels) -> Picture:
        return Picture(pixels)

    def look(self, prepared: Picture) -> Tokens:
        """A token for each area of a colour, its box a pixel too wide; and one more that says the same of each."""
        self.looked += 1
        boxes, looks = [], []
        side = max(prepared.pixels.shape[:2])
        for colour, shade in enumerate(COLOURS.values()):
            near = np.abs(prepared.pixels.astype(int) - shade).max(axis=2) < 30
            _, _, stats, _ = cv2.connectedComponentsWithStats(near.astype(np.uint8))
            for x, y, width, height, area in stats[1:]:
                if area >= 50:
                    boxes += [(x - 1, y - 1, x + width + 1, y + height + 1), (x, y, x + width, y + height)]
                    looks += [np.eye(len(COLOURS), dtype=np.float32)[colour]] * 2
        count = len(boxes)
        return Tokens(
            np.array(looks, np.float32).reshape(count, len(COLOURS)),
            np.array(boxes, np.float32).reshape(count, 4) / side,
            np.where(np.arange(count) % 2, -0.5, -0.4).astype(np.float32),
            np.full(count, 4, np.float32),
        )

    def read(self, phrases: Sequence[str]) -> Floats:
        self.read_phrases += phrases
        rows = [[float(colour in phrase.lower()) for colour in COLOURS] for phrase in phrases]
        return unit(np.array(rows, np.float32))


@contextmanager
def with_words(settings: Settings, detector: Detector | None = None) -> Iterator[str]:
    """A service whose detector knows colours."""
    context = Context(settings, open_words=lambda *_: detector or ColourDetector())
    with running(settings, context=context) as address:
        yield address
