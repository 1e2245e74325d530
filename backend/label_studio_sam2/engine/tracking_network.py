"""SAM 2's own steps on one frame, as functions of values: features, a prompted object, tracked objects, masks.

They are what `SAM2VideoPredictor` is made of. Nothing is written to the network, so all threads may share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from label_studio_sam2.engine.frame_input import normalised, resized
from label_studio_sam2.engine.memory_bank import Output, Past
from label_studio_sam2.types import Bitmap, Pixels, Prompt, Size

Features = tuple[Tensor, ...]
"""The image encoder's levels for one frame, fine to coarse, (1, C, H, W) each, as `SAM2Base.forward_image` has them."""

LOGIT_BOUND = 32.0
"""Earlier logits are clamped before they are fed back (sam2.sam2_video_predictor)."""


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


class Correction(NamedTuple):
    """What a prompt on a frame that was tracked already is decoded with: the past, and the mask that was there."""

    past: Past
    logits: Tensor
    backward: bool


class Decoded(NamedTuple):
    """An object's low-resolution logits (h, w) or, from a fast device, its bitmap; None where it is absent."""

    mask: NDArray[np.float32] | Bitmap | None
    score: float


@dataclass(frozen=True)
class TrackingNetwork:
    """A network for a video of `count` frames of this `size`; `dtype` is the type to compute in under autocast, if any.

    All methods are device work, for inside `computing`.
    """

    network: Any
    size: Size
    count: int
    dtype: torch.dtype | None

    @property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Inference mode and autocast, which belong to a thread."""
        cast = nullcontext() if self.dtype is None else torch.autocast(self.device.type, self.dtype)
        with torch.inference_mode(), cast:
            yield

    def encoded(self, square: Pixels) -> Features:
        levels = self.network.forward_image(normalised(square, self.device))["backbone_fpn"]
        return tuple(levels[-self.network.num_feature_levels :])

    def view(self, features: Features) -> View:
        levels = [level.to(self.device) for level in features]
        encoding = self.network.image_encoder.neck.position_encoding
        positions = [encoding(level).to(level.dtype) for level in levels]
        backbone = {"backbone_fpn": levels, "vision_pos_enc": positions}
        _, flat, flat_positions, sizes = self.network._prepare_backbone_features(backbone)
        return View(flat, flat_positions, sizes)

    def tracked(self, view: View, frame: int, pasts: Sequence[Past], *, backward: bool) -> list[Output]:
        """A step of several objects with pasts of the same frames."""
        out = self.network.track_step(
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

    def prompted(
        self, view: View, frame: int, prompt: Prompt, correction: Correction | None = None
    ) -> Output:
        """A prompt's output and memory, as `add_new_points_or_box` and the preflight of propagation make them."""
        points, mask, earlier = self._inputs(prompt)
        if correction is not None and points is not None and earlier is None:
            earlier = correction.logits.clamp(-LOGIT_BOUND, LOGIT_BOUND)
        out = self.network.track_step(
            frame_idx=frame,
            is_init_cond_frame=correction is None,
            **view.step_inputs(),
            point_inputs=points,
            mask_inputs=mask,
            output_dict=self._past([correction.past]) if correction else {},
            num_frames=self.count,
            track_in_reverse=correction is not None and correction.backward,
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

    def decoded(self, output: Output) -> Decoded:
        assert output.logits is not None
        score = float(torch.sigmoid(output.score))
        if float(output.score) <= 0:
            return Decoded(None, score)
        logits = output.logits.float()
        if self.device.type == "cpu":  # cv2 upsamples faster there and leaves the device alone
            return Decoded(logits[0, 0].numpy(), score)
        return Decoded((resized(logits, self.size)[0, 0] > 0).cpu().numpy(), score)

    def _past(self, pasts: Sequence[Past]) -> dict[str, Any]:
        """Objects' pasts, which are of the same frames, as `SAM2Base.track_step` reads that of a batch."""
        memory = next(iter(pasts[0].prompted.values())).memory
        positions = [self.network.memory_encoder.position_encoding(memory).expand(len(pasts), -1, -1, -1)]
        # Without autocast nothing would bring kept memories (bfloat16) back to the weights' type.
        dtype = torch.float32 if self.dtype is None else torch.bfloat16

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

    def _inputs(self, prompt: Prompt) -> tuple[dict[str, Tensor] | None, Tensor | None, Tensor | None]:
        """Points in the network's pixels with a box as two of them, a mask as the truth, a mask as earlier logits."""
        side = self.network.image_size
        mask = None if prompt.mask is None else self._squared(torch.from_numpy(prompt.mask.bitmap()))
        corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
        clicks = [(point.x, point.y) for point in prompt.points]
        if not corners and not clicks:
            return None, mask, None
        labels = [2, 3][: len(corners)] + [int(point.positive) for point in prompt.points]
        coordinates = torch.tensor([*corners, *clicks], dtype=torch.float32)[None]
        scaled = coordinates / torch.tensor([self.size.width, self.size.height]) * side
        points = {
            "point_coords": scaled.to(self.device),
            "point_labels": torch.tensor([labels], dtype=torch.int32, device=self.device),
        }
        earlier = None if mask is None else resized(mask * 20 - 10, (side // 4,) * 2, antialias=True)
        return points, None, earlier

    def _squared(self, bitmap: Tensor) -> Tensor:
        """A mask (H, W) as zeros and ones (1, 1, S, S)."""
        square = (self.network.image_size,) * 2
        mask = bitmap.to(self.device)[None, None].float()
        return mask if mask.shape[-2:] == square else (resized(mask, square, antialias=True) >= 0.5).float()


def _batch(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def _outputs(out: Mapping[str, Any], memory: Tensor) -> list[Output]:
    """The objects of a batch, one by one."""
    # Upstream keeps memories in bfloat16, and the published checkpoints were evaluated so.
    kept = (memory.to(torch.bfloat16), out["obj_ptr"], out["pred_masks"], out["object_score_logits"])
    return [Output(*each) for each in zip(*(tensor.split(1) for tensor in kept), strict=True)]
