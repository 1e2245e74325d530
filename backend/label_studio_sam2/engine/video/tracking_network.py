"""SAM 2's own steps on one frame, as functions of values: features, a prompted object, tracked objects, masks.

They are what `SAM2VideoPredictor` is made of. Nothing is written to the network, so all threads may share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from label_studio_sam2.engine.host import to_device, to_host
from label_studio_sam2.engine.turn import OnDevice
from label_studio_sam2.engine.video import prompt_input
from label_studio_sam2.engine.video.frame_input import normalised, resized
from label_studio_sam2.engine.video.memory_bank import Output, Past, Reach
from label_studio_sam2.types import Bitmap, Pixels, Prompt, Size

T = TypeVar("T")

Features = tuple[Tensor, ...]
"""The image encoder's levels for one frame, fine to coarse, (1, C, H, W) each, as `SAM2Base.forward_image` has them, in
the type that they are kept in: so masks don't depend on which frames are."""

KEPT_IN = {"cpu": torch.float32}
OTHERWISE_KEPT_IN = torch.float16
"""A GPU computes features in half precision anyway, and twice the bytes would take as long as computing them."""

MEMORY_TYPES = {"mps": torch.float32}
MEMORY_TYPE = torch.bfloat16
"""Upstream keeps memories in it, and the published checkpoints were evaluated so. Metal lacks it before macOS 14."""

OBJECTS_AT_ONCE = 8
"""Masks brought to the frame's size together on a GPU: of a 4K frame 33 MB each."""


class View(NamedTuple):
    """One frame's features as the network's steps take them: flattened levels (HW, 1, C) and their positions."""

    features: list[Tensor]
    positions: list[Tensor]
    sizes: list[tuple[int, int]]

    def step_inputs(self, objects: int = 1) -> dict[str, Any]:
        return {
            "current_vision_feats": [level.expand(-1, objects, -1) for level in self.features],
            "current_vision_pos_embeds": [level.expand(-1, objects, -1) for level in self.positions],
            "feat_sizes": self.sizes,
        }


class Decoded(NamedTuple):
    """An object's low-resolution logits (h, w) or, from a fast device, its bitmap; None where it is absent. `score` is
    the probability that it is visible, `iou` what the network thinks of the mask."""

    mask: NDArray[np.float32] | Bitmap | None
    score: float
    iou: float


@dataclass(frozen=True)
class TrackingNetwork:
    """A network for a video of `count` frames; `dtype` is the type to compute in under autocast, if any.

    All methods are device work, for `compute`.
    """

    network: Any
    count: int
    dtype: torch.dtype | None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device

    @property
    def side(self) -> int:
        """Of the square that frames are resized to, in pixels."""
        return int(self.network.image_size)

    @property
    def cells(self) -> int:
        """Of the embedding."""
        return int(self.network.sam_image_embedding_size) ** 2

    @cached_property
    def reach(self) -> Reach:
        return Reach.of(self.network)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Inference mode and autocast, which belong to a thread."""
        cast = nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)
        with torch.inference_mode(), cast:
            yield

    def compute(self, on_device: OnDevice, work: Callable[[], T]) -> T:
        """A piece of device work, when the device has its turn."""

        def computed() -> T:
            with self.computing():
                return work()

        return on_device(computed)

    def encoded(self, square: Pixels) -> Features:
        levels = self.network.forward_image(normalised(square, self.device))["backbone_fpn"]
        kept = KEPT_IN.get(self.device.type, OTHERWISE_KEPT_IN)
        return tuple(level.to(kept) for level in levels[-self.network.num_feature_levels :])

    def view(self, features: Features) -> View:
        """Of features that were just computed, or kept here or on the host."""
        levels = [to_device(level, self.device).float() for level in features]
        encoding = self.network.image_encoder.neck.position_encoding
        positions = [encoding(level).to(level.dtype) for level in levels]
        backbone = {"backbone_fpn": levels, "vision_pos_enc": positions}
        _, flat, flat_positions, sizes = self.network._prepare_backbone_features(backbone)
        return View(flat, flat_positions, sizes)

    def tracked(
        self, features: Features, frame: int, pasts: Sequence[Past], *, backward: bool
    ) -> list[Output]:
        """A step of several objects with pasts of the same frames."""
        view = self.view(features)
        out = self._stepped(
            frame_idx=frame,
            is_init_cond_frame=False,
            **view.step_inputs(len(pasts)),
            point_inputs=None,
            mask_inputs=None,
            output_dict=self._past(pasts),
            num_frames=self.count,
            track_in_reverse=backward,
            run_mem_encoder=True,
        )
        return _outputs(out, out["maskmem_features"])

    def prompted(self, features: Features, frame: int, prompt: Prompt, size: Size) -> Output:
        """The output and memory of a prompt on a frame of this size, as `add_new_points_or_box` and the preflight of
        propagation make them."""
        view = self.view(features)
        points, mask, earlier = prompt_input.of(prompt, size, self.network.image_size, self.device)
        out = self._stepped(
            frame_idx=frame,
            is_init_cond_frame=True,
            **view.step_inputs(),
            point_inputs=points,
            mask_inputs=mask,
            output_dict={},
            num_frames=self.count,
            track_in_reverse=False,
            run_mem_encoder=False,
            prev_sam_mask_logits=earlier,
        )
        memory, _ = self.network._encode_new_memory(
            current_vision_feats=view.features,
            feat_sizes=view.sizes,
            pred_masks_high_res=resized(out["pred_masks"], (self.network.image_size,) * 2),
            object_score_logits=out["object_score_logits"],
            is_mask_from_pts=True,
        )
        return _outputs(out, memory)[0]

    def decoded(self, outputs: Sequence[Output], size: Size) -> list[Decoded]:
        """What several objects look like on one frame of this size; the device is waited for once."""
        if not outputs:
            return []
        visible = torch.cat([output.score for output in outputs])[:, 0].float()
        logits = [output.logits for output in outputs if output.logits is not None]
        assert len(logits) == len(outputs)
        # cv2 upsamples faster than a CPU's torch and leaves the device alone.
        masks = [one.float() for one in logits] if self.device.type == "cpu" else _bitmaps(logits, size)
        rated = torch.cat([output.iou for output in outputs])[:, 0].float()
        scores, presences, ious, *arrays = to_host([torch.sigmoid(visible), visible, rated, *masks])
        bitmaps = [one for array in arrays for one in array[:, 0]]
        return [
            Decoded(bitmap if presence > 0 else None, float(score), float(iou))
            for bitmap, presence, score, iou in zip(bitmaps, presences, scores, ious, strict=True)
        ]

    def _stepped(
        self, *, run_mem_encoder: bool, prev_sam_mask_logits: Tensor | None = None, **given: Any
    ) -> Any:
        """`SAM2Base.track_step` with what the network thinks of the masks, which upstream drops: `iou` (B, 1)."""
        out, heads, _, _ = self.network._track_step(prev_sam_mask_logits=prev_sam_mask_logits, **given)
        _, _, ious, masks, high_resolution, pointer, score = heads
        self.network._encode_memory_in_output(
            given["current_vision_feats"],
            given["feat_sizes"],
            given["point_inputs"],
            run_mem_encoder,
            high_resolution,
            score,
            out,
        )
        of_chosen = ious.amax(dim=-1, keepdim=True)  # of several candidates upstream takes the best rated
        return out | {"pred_masks": masks, "obj_ptr": pointer, "object_score_logits": score, "iou": of_chosen}

    def _past(self, pasts: Sequence[Past]) -> dict[str, Any]:
        """Objects' pasts, which are of the same frames, as `SAM2Base.track_step` reads that of a batch."""
        memory = next(iter(pasts[0].prompted.values())).memory
        positions = [self.network.memory_encoder.position_encoding(memory).expand(len(pasts), -1, -1, -1)]
        # Nothing else would bring kept memories (bfloat16) back to the type that is computed in.
        dtype = torch.bfloat16 if self.dtype == torch.bfloat16 else torch.float32

        def entry(outputs: Sequence[Output]) -> dict[str, Any]:
            memories = [output.memory for output in outputs if output.memory is not None]
            return {
                "maskmem_features": _batch(memories).to(dtype) if memories else None,
                "maskmem_pos_enc": positions,
                "obj_ptr": _batch([output.pointer for output in outputs]),
            }

        return {
            "cond_frame_outputs": {
                frame: entry([past.prompted[frame] for past in pasts]) for frame in pasts[0].prompted
            },
            "non_cond_frame_outputs": {
                frame: entry([past.recent[frame] for past in pasts]) for frame in pasts[0].recent
            },
        }


def _bitmaps(logits: Sequence[Tensor], size: Size) -> list[Tensor]:
    """(B, 1, H, W), of some objects each."""
    groups = (logits[at : at + OBJECTS_AT_ONCE] for at in range(0, len(logits), OBJECTS_AT_ONCE))
    return [resized(torch.cat(list(group)).float(), size) > 0 for group in groups]


def _batch(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _outputs(out: Mapping[str, Any], memory: Tensor) -> list[Output]:
    """The objects of a batch, one by one."""
    kept_in = MEMORY_TYPES.get(memory.device.type, MEMORY_TYPE)
    kept = (memory.to(kept_in), out["obj_ptr"], out["pred_masks"], out["object_score_logits"], out["iou"])
    return [Output(*each) for each in zip(*(tensor.split(1) for tensor in kept), strict=True)]
