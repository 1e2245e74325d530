"""Words to boxes on a picture, as the package's users of the detector do: the library's processor and network, its
threshold, and one box for each object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms
from transformers import Owlv2ForObjectDetection, Owlv2Processor

from demo_model.textures import Pixels

# Of the score; the shipped config names it. Chosen on training pictures, where a shape or colour that isn't there is
# answered about one time in nine with it.
THRESHOLD = 0.34
_SAME = 0.5  # overlap of two boxes, as IoU, above which the lower score is dropped


@dataclass(frozen=True)
class Found:
    """What is found for one query on one picture, the best first."""

    boxes: NDArray[np.float32]  # (n, 4): left, top, right, bottom in pixels
    scores: NDArray[np.float32]  # (n,)

    def above(self, threshold: float) -> Found:
        """What scores higher."""
        kept = self.scores > threshold
        return Found(self.boxes[kept], self.scores[kept])


class Detector:
    """A network with its processor; a query's words are encoded once."""

    def __init__(self, model: Owlv2ForObjectDetection, processor: Owlv2Processor) -> None:
        self._model = model
        self._processor = processor
        self._words: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def find(self, image: Pixels, texts: list[str], least: float = 0.02) -> list[Found]:
        """For each text, what scores more than `least` on a picture (H, W, 3) RGB."""
        pixels = self._processor(images=image, return_tensors="pt")["pixel_values"]
        feature_map = self._model.image_embedder(pixels)[0]
        features = feature_map.flatten(1, 2)
        words = torch.stack([self._encoded(text) for text in texts])
        scores = self._model.class_predictor(features, words[None])[0][0].sigmoid()
        centred = self._model.box_predictor(features, feature_map)[0] * max(image.shape[:2])
        corners = torch.cat([centred[:, :2] - centred[:, 2:] / 2, centred[:, :2] + centred[:, 2:] / 2], dim=1)
        height, width = image.shape[:2]
        corners[:, 0::2] = corners[:, 0::2].clamp(0, width)
        corners[:, 1::2] = corners[:, 1::2].clamp(0, height)
        return [_once(corners, column, least) for column in scores.T]

    def _encoded(self, text: str) -> torch.Tensor:
        if text not in self._words:
            tokens = self._processor(text=[text], return_tensors="pt", truncation=True)
            embedded = self._model.owlv2.get_text_features(**tokens)
            pooled = embedded if isinstance(embedded, torch.Tensor) else embedded.pooler_output
            self._words[text] = (pooled / pooled.norm(dim=-1, keepdim=True))[0]
        return self._words[text]


def _once(boxes: torch.Tensor, scores: torch.Tensor, least: float) -> Found:
    """The boxes that score more than `least`, without those that a better one covers."""
    passing = scores > least
    boxes, scores = boxes[passing], scores[passing]
    kept = nms(boxes, scores, _SAME)
    return Found(boxes[kept].numpy(), scores[kept].numpy())
