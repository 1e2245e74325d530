"""A model: a checkpoint's network on a device, and the name that it answers by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from importlib import resources
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from label_studio_sam2.engine.checkpoints import CHECKPOINTS, Progress, download, sha256, verify
from label_studio_sam2.engine.network import build, compute_positions_once, read_state, settle
from label_studio_sam2.errors import WrongModel
from label_studio_sam2.outgoing.ways import DIRECT, Outgoing
from label_studio_sam2.settings import DEMO

PREPROCESSING = 1
"""Counts up whenever `engine.image.encoding` or a frame's squeezing makes other numbers of the same pixels."""

FROZEN = ("conv_s0", "conv_s1", "obj_score_token", "pred_obj_score_head")
"""Parts of the decoder that tuning leaves alone: the first two make the embedding (SAM2Base.forward_image), and whether
an object is there isn't taught."""


@dataclass(frozen=True)
class Model:
    """A network with its weights on a device. The network is never written to, so all threads may share it.

    `decoder` is the network's mask decoder, its own or a tuned one; nothing that the embedding depends on is ever
    tuned. `labelled` is the same network with decoders for single labels. `dense_positions` (1, C, S, S) is the prompt
    encoder's constant position map. `encoder_dtype` is what the image encoder computes in under autocast; None:
    float32.
    """

    name: str
    hash: str
    network: Any
    decoder: Any
    dense_positions: Tensor
    device: torch.device
    tuning: str = ""
    encoder_dtype: torch.dtype | None = None
    compiled: bool = False
    labelled: Mapping[str, Model] = field(default_factory=dict)

    def of(self, labels: Sequence[str]) -> Model:
        """What answers prompts with these labels: this, or where a version has one, its own decoder for the first that
        has."""
        return next((self.labelled[label] for label in labels if label in self.labelled), self)

    @property
    def image_size(self) -> int:
        """The side, in pixels, of the square that pictures are resized to."""
        return int(self.network.image_size)

    @property
    def level_shapes(self) -> list[tuple[int, int, int]]:
        """(C, S, S) of the embedding's three levels, whatever the picture's size."""
        channels = {
            16: self.network.hidden_dim,
            8: self.decoder.conv_s1.out_channels,
            4: self.decoder.conv_s0.out_channels,
        }
        return [
            (int(depth), self.image_size // stride, self.image_size // stride)
            for stride, depth in channels.items()
        ]

    @property
    def embedding_values(self) -> int:
        """How many numbers make up the embedding of a picture."""
        return sum(prod(shape) for shape in self.level_shapes)

    @property
    def fingerprint(self) -> str:
        """Of all that an embedding depends on: weights, precision, how pictures are prepared, whether the encoder is
        compiled. Replicas on other devices share embeddings where these are the same."""
        precision = "fp32" if self.encoder_dtype is None else str(self.encoder_dtype).removeprefix("torch.")
        return f"{self.hash[:16]}-{precision}-{PREPROCESSING}" + ("-compiled" if self.compiled else "")

    @property
    def version(self) -> str:
        """What Label Studio stores beside each prediction: it changes whenever predictions would."""
        return f"{self.name}-{self.hash[:8]}" + (f"+{self.tuning}" if self.tuning else "")

    def tuned(
        self, decoder: nn.Module, tuning: str, by_label: Mapping[str, nn.Module] | None = None
    ) -> Model:
        """The same network with another mask decoder, named `tuning` in the version, and with others for labels."""
        network = copy(self.network)  # which shares all weights; the mapping of its parts is its own
        network._modules = {**network._modules, "sam_mask_decoder": decoder}
        labelled = {label: self.tuned(own, f"{tuning}/{label}") for label, own in (by_label or {}).items()}
        return replace(self, network=network, decoder=decoder, tuning=tuning, labelled=labelled)


def load(
    name: str,
    folder: Path,
    device: torch.device,
    progress: Progress | None = None,
    *,
    encoder_dtype: torch.dtype | None = None,
    outgoing: Outgoing = DIRECT,
) -> Model:
    """The model that MODEL names: `demo`, a row of the checkpoint table (downloaded where missing), or a path.

    Raises CheckpointError with one sentence on what is wrong and one on what to do.
    """
    path = _locate(name, folder, progress, outgoing)
    state = read_state(path)
    with (
        torch.cuda.device(device) if device.type == "cuda" else nullcontext()
    ):  # upstream asks for the current GPU
        network = build(state).to(device).eval().requires_grad_(False)
    settle(network, device)
    compute_positions_once(network)
    with torch.inference_mode():
        positions = network.sam_prompt_encoder.get_dense_pe()
    return Model(
        name=DEMO if name == DEMO else path.stem,
        hash=sha256(path),
        network=network,
        decoder=network.sam_mask_decoder,
        dense_positions=positions,
        device=device,
        encoder_dtype=encoder_dtype,
    )


def _locate(name: str, folder: Path, progress: Progress | None, outgoing: Outgoing) -> Path:
    if name == DEMO:
        return Path(str(resources.files("label_studio_sam2.demo") / "demo.safetensors"))
    if name in CHECKPOINTS:
        path = download(CHECKPOINTS[name], folder, progress, outgoing)
        verify(path, CHECKPOINTS[name])
        return path
    if Path(name).is_file():
        return Path(name)
    raise unknown(name)


def is_taught(weight: str) -> bool:
    """Whether tuning changes the decoder's weight of this name."""
    return weight.partition(".")[0] not in FROZEN


def unknown(name: str) -> WrongModel:
    return WrongModel(
        f"MODEL={name} is neither a file nor a known checkpoint. Use {DEMO}, {', '.join(CHECKPOINTS)}, or the path "
        "of a SAM 2 checkpoint."
    )
