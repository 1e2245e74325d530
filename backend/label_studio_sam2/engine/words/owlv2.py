"""OWLv2 (Scaling Open-Vocabulary Object Detection, 2023) as `transformers` has it, its two sides called apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from label_studio_sam2.engine.checkpoints import Progress, sha256
from label_studio_sam2.engine.words.preparing import squared
from label_studio_sam2.engine.words.published import CONFIG, DETECTORS, WEIGHTS, locate
from label_studio_sam2.engine.words.tokens import Floats, Tokens, unit
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import DIRECT, Outgoing
from label_studio_sam2.settings import DEMO
from label_studio_sam2.types import Pixels

PREPROCESSING = 1
"""Counts up whenever `prepare` or `look` makes other numbers of the same pixels."""

THRESHOLD, DEMO_THRESHOLD = 0.2, 0.3

OWN_THRESHOLD = "detection_threshold"
"""A detector's config may say its own."""

KIND = "owlv2"


@dataclass(frozen=True)
class Owlv2:
    """The network is never written to, so all threads may share it. `encoder_dtype` is what its picture side computes
    in under autocast; None: float32."""

    name: str
    hash: str
    network: Any
    processor: Any
    device: torch.device
    threshold: float
    encoder_dtype: torch.dtype | None = None

    @property
    def fingerprint(self) -> str:
        precision = "fp32" if self.encoder_dtype is None else str(self.encoder_dtype).removeprefix("torch.")
        return f"{self.hash[:16]}-{precision}-{PREPROCESSING}"

    @property
    def shape(self) -> tuple[int, int]:
        config = self.network.config
        return (
            config.vision_config.image_size // config.vision_config.patch_size
        ) ** 2, config.text_config.hidden_size

    def prepare(self, pixels: Pixels) -> Tensor:
        """(1, 3, S, S), padded, resized and normalised."""
        images = self.processor.image_processor
        side = self.network.config.vision_config.image_size
        return torch.from_numpy(squared(pixels, side, images.image_mean, images.image_std))[None]

    def look(self, prepared: Tensor) -> Tokens:
        """As `Owlv2ForObjectDetection.forward` does before it knows any words."""
        network, dtype = self.network, self.encoder_dtype
        with torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None):
            feature_map = network.image_embedder(prepared.to(self.device))[0].float()
        places = feature_map.flatten(1, 2)
        head = network.class_head
        _, looks = network.class_predictor(places)
        centre, extent = network.box_predictor(places, feature_map)[0].split(2, dim=-1)
        return Tokens(
            unit(_array(looks[0])),
            _array(torch.cat([centre - extent / 2, centre + extent / 2], dim=-1)),
            _array(head.logit_shift(places)[0, :, 0]),
            _array(head.elu(head.logit_scale(places))[0, :, 0] + 1),
        )

    def read(self, phrases: Sequence[str]) -> Floats:
        """What is longer than the text model's longest is cut off there."""
        written = self.processor.tokenizer(
            list(phrases),
            padding="max_length",
            truncation=True,
            max_length=self.network.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        read = self.network.owlv2.text_model(
            input_ids=written["input_ids"].to(self.device),
            attention_mask=written["attention_mask"].to(self.device),
        )
        projected = self.network.owlv2.text_projection(read.pooler_output)
        return unit(_array(projected / projected.norm(dim=-1, keepdim=True)))


def load(
    name: str,
    cache: Path,
    device: torch.device,
    progress: Progress | None = None,
    *,
    encoder_dtype: torch.dtype | None = None,
    outgoing: Outgoing = DIRECT,
) -> Owlv2:
    """The detector that DETECTOR names (see `locate`). Raises CheckpointError."""
    folder = locate(name, cache, progress, outgoing)
    config = _config(folder)
    network, processor = _read(folder)
    return Owlv2(
        name=name if name in {DEMO, *DETECTORS} else folder.resolve().name,
        hash=sha256(folder / WEIGHTS),
        network=network.to(device).eval().requires_grad_(False),
        processor=processor,
        device=device,
        threshold=float(config.get(OWN_THRESHOLD, DEMO_THRESHOLD if name == DEMO else THRESHOLD)),
        encoder_dtype=encoder_dtype,
    )


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text())
        kind = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise _unreadable(folder, error) from error
    if kind != KIND:
        raise CheckpointError(
            f"{folder} holds a model of type {kind}, whose pictures can't be encoded without the words. Set "
            f"DETECTOR to {', '.join(DETECTORS)}, or the folder of an OWLv2 model."
        )
    return config


def _read(folder: Path) -> tuple[Any, Any]:
    """The network and its processor. `transformers` takes seconds to import and is needed for words only."""
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor  # noqa: PLC0415
    from transformers.utils import logging  # noqa: PLC0415

    logging.disable_progress_bar()  # of files that are on the disk: a second or two
    try:
        return (
            AutoModelForZeroShotObjectDetection.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            ),
            AutoProcessor.from_pretrained(folder, local_files_only=True),
        )
    except Exception as error:  # whatever the library finds wrong with the files
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> CheckpointError:
    reason = str(error).partition("\n")[0][:120]
    return CheckpointError(
        f"{folder} can't be read as a detector ({reason}). Set DETECTOR to {', '.join(DETECTORS)}, or the whole folder "
        "of an OWLv2 model."
    )


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.float().cpu().numpy()
    return found
