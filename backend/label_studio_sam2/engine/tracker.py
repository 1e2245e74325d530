"""SAM 2's tracking, one frame and one object at a time, with the network's own steps and kept memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from label_studio_sam2.engine.frame_input import Frames, normalised, prepared, resized, squared
from label_studio_sam2.engine.memory_bank import (
    MemoryBank,
    Output,
    Reach,
    Shared,
    TrackState,
    nearest_prompted,
    together,
)
from label_studio_sam2.types import Bitmap, FrameMask, Pixels, Prompt

T = TypeVar("T")

Features = tuple[Tensor, ...]
"""The image encoder's levels for one frame, fine to coarse, (1, C, H, W) each, as `SAM2Base.forward_image` has them."""

Run = Callable[[Callable[[], T]], T]
Encode = Callable[[int, Callable[[], Features]], Features]

CELLS_AT_ONCE = {"cpu": 64**2}
MANY_CELLS = 16 * 64**2
"""Cells of the embedding, of all objects, in one step. On a CPU a batch only pays while it is small, and a click has to
wait for the whole of it: one object at 1024 px, sixteen at 256."""

LOGIT_BOUND = 32.0
"""Earlier logits are clamped before they are fed back (sam2.sam2_video_predictor)."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object to follow: its prompts by frame, and the frames to go through, in their order (step 1 or -1)."""

    prompts: Mapping[int, Prompt]
    span: range


class _View(NamedTuple):
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


class _Correction(NamedTuple):
    """What a prompt on a frame that was tracked already is decoded with: the past, and the mask that was there."""

    past: dict[str, Any]
    logits: Tensor
    step: int


class _Decoded(NamedTuple):
    """An object's low-resolution logits (h, w) or, from a fast device, its bitmap; None where it is absent."""

    mask: NDArray[np.float32] | Bitmap | None
    score: float


@dataclass
class Tracker:
    network: Any
    video: Frames
    state: TrackState
    run: Run[Any]
    encode: Encode
    dtype: torch.dtype | None
    positions: list[Tensor] = field(default_factory=list)  # of the features, the same for every frame

    def follow(self, targets: Mapping[str, Target], span: range) -> Iterator[tuple[FrameMask, ...]]:
        """The masks of each frame of `span`, of the targets that are due there."""
        banks = {name: self.state.banks.setdefault(name, MemoryBank()) for name in targets}
        for name, target in targets.items():
            self._correct(banks[name], target)
        for frame, square in prepared(self.video, span, self.network.image_size):
            due = {name: target for name, target in targets.items() if frame in target.span}
            nearest = {
                name: nearest_prompted(frame, target.prompts, self.reach.conditioning)
                for name, target in due.items()
            }
            for name, target in due.items():
                self._condition(banks[name], target, nearest[name])
            followed = {name: banks[name] for name, target in due.items() if frame not in target.prompts}
            if followed:
                self._step_all(self._view(frame, square), frame, followed, nearest, span.step)
            for name in due:
                banks[name].forget(frame, nearest[name], self.reach, span.step)
            yield tuple(self._mask(frame, name, banks[name].at(frame)) for name in due)

    @cached_property
    def reach(self) -> Reach:
        return Reach.of(self.network)

    @cached_property
    def device(self) -> torch.device:
        device: torch.device = self.network.device
        return device

    def _shared(self) -> Shared:
        # Without autocast nothing would bring kept memories (bfloat16) back to the weights' type.
        return Shared(self.state.positions, torch.float32 if self.dtype is None else torch.bfloat16)

    def _correct(self, bank: MemoryBank, target: Target) -> None:
        """Decode a new prompt on the frame that tracking stopped at with the memory and the mask from there."""
        known = dict(bank.prompts)
        bank.forget_other_prompts(target.prompts)
        frame = bank.last
        if frame is None or frame not in target.prompts or known.get(frame) == target.prompts[frame]:
            return
        before = bank.tracked.get(frame)
        if before is not None and before.logits is not None:
            others = {past: prompt for past, prompt in target.prompts.items() if past != frame}
            nearest = nearest_prompted(frame, others, self.reach.conditioning)
            self._condition(bank, target, nearest)
            view = self._view(frame, squared(self.video.frame(frame), self.network.image_size))
            past = bank.look_back(nearest, self._shared())
            correction = _Correction(past, before.logits, target.span.step)
            prompt = target.prompts[frame]
            bank.condition(frame, prompt, self._prompted(view, frame, prompt, correction))

    def _condition(self, bank: MemoryBank, target: Target, frames: list[int]) -> None:
        """Decode the prompts of these frames, if that was not done, each by itself."""
        for frame in frames:
            if frame not in bank.prompted:
                view = self._view(frame, squared(self.video.frame(frame), self.network.image_size))
                prompt = target.prompts[frame]
                bank.condition(frame, prompt, self._prompted(view, frame, prompt))

    def _view(self, frame: int, square: Pixels) -> _View:
        features = self.encode(frame, lambda: self._on_device(lambda: self._encoded(square)))
        return self._on_device(lambda: self._flattened(features))

    def _encoded(self, square: Pixels) -> Features:
        levels = self.network.forward_image(normalised(square, self.device))["backbone_fpn"]
        return tuple(levels[-self.network.num_feature_levels :])

    def _flattened(self, features: Features) -> _View:
        levels = [level.to(self.device) for level in features]
        if not self.positions:
            encoding = self.network.image_encoder.neck.position_encoding
            self.positions = [encoding(level).to(level.dtype) for level in levels]
        backbone = {"backbone_fpn": levels, "vision_pos_enc": self.positions}
        _, flat, flat_positions, sizes = self.network._prepare_backbone_features(backbone)
        return _View(flat, flat_positions, sizes)

    def _step_all(
        self,
        view: _View,
        frame: int,
        banks: Mapping[str, MemoryBank],
        nearest: Mapping[str, list[int]],
        step: int,
    ) -> None:
        """One step for each object; those with memories of the same frames take it together, some at a time."""
        alike: dict[object, list[str]] = {}
        for name, bank in banks.items():
            alike.setdefault(bank.frames(nearest[name]), []).append(name)
        cells = self.network.sam_image_embedding_size**2
        at_once = max(1, CELLS_AT_ONCE.get(self.device.type, MANY_CELLS) // cells)
        for names in alike.values():
            for begin in range(0, len(names), at_once):
                group = [banks[name] for name in names[begin : begin + at_once]]
                outputs = self._step(view, frame, group, nearest[names[0]], step)
                for bank, output in zip(group, outputs, strict=True):
                    bank.add(frame, output)

    def _step(
        self, view: _View, frame: int, banks: list[MemoryBank], nearest: list[int], step: int
    ) -> list[Output]:
        def work() -> list[Output]:
            out = self.network.track_step(
                frame_idx=frame,
                is_init_cond_frame=False,
                **view.step_inputs(len(banks)),
                point_inputs=None,
                mask_inputs=None,
                output_dict=together([bank.look_back(nearest, self._shared()) for bank in banks]),
                num_frames=len(self.video),
                track_in_reverse=step < 0,
                run_mem_encoder=True,
            )
            return self._outputs(out, out["maskmem_features"], out["maskmem_pos_enc"])

        return self._on_device(work)

    def _prompted(
        self,
        view: _View,
        frame: int,
        prompt: Prompt,
        correction: _Correction | None = None,
    ) -> Output:
        """A prompt's output and memory, as `add_new_points_or_box` and the preflight of propagation make them."""

        def work() -> Output:
            points, mask, earlier = self._inputs(prompt)
            if correction is not None and points is not None and earlier is None:
                earlier = correction.logits.clamp(-LOGIT_BOUND, LOGIT_BOUND)
            out = self.network.track_step(
                frame_idx=frame,
                is_init_cond_frame=correction is None,
                **view.step_inputs(),
                point_inputs=points,
                mask_inputs=mask,
                output_dict=correction.past if correction else {},
                num_frames=len(self.video),
                track_in_reverse=correction is not None and correction.step < 0,
                run_mem_encoder=False,
                prev_sam_mask_logits=earlier,
            )
            memory, positions = self.network._encode_new_memory(
                current_vision_feats=view.features,
                feat_sizes=view.sizes,
                pred_masks_high_res=resized(out["pred_masks"], (self.network.image_size,) * 2),
                object_score_logits=out["object_score_logits"],
                is_mask_from_pts=True,
            )
            return self._outputs(out, memory, positions)[0]

        return self._on_device(work)

    def _outputs(self, out: Mapping[str, Any], memory: Tensor, positions: list[Tensor]) -> list[Output]:
        """The objects of a batch, one by one."""
        if self.state.positions is None:
            self.state.positions = [position[:1].clone() for position in positions]
        # Upstream keeps memories in bfloat16, and the published checkpoints were evaluated so.
        kept = (memory.to(torch.bfloat16), out["obj_ptr"], out["pred_masks"], out["object_score_logits"])
        return [Output(*each) for each in zip(*(tensor.split(1) for tensor in kept), strict=True)]

    def _inputs(self, prompt: Prompt) -> tuple[dict[str, Tensor] | None, Tensor | None, Tensor | None]:
        """Points in the network's pixels with a box as two of them, a mask as the truth, a mask as earlier logits."""
        side = self.network.image_size
        mask = (
            None
            if prompt.mask is None
            else torch.from_numpy(prompt.mask.bitmap()).to(self.device)[None, None]
        )
        if mask is not None:
            mask = mask.float()
            if mask.shape[-2:] != (side, side):
                mask = (resized(mask, (side, side), antialias=True) >= 0.5).float()
        corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
        clicks = [(point.x, point.y) for point in prompt.points]
        if not corners and not clicks:
            return None, mask, None
        labels = [2, 3][: len(corners)] + [int(point.positive) for point in prompt.points]
        coordinates = torch.tensor([*corners, *clicks], dtype=torch.float32)[None]
        scaled = coordinates / torch.tensor([self.video.size.width, self.video.size.height]) * side
        points = {
            "point_coords": scaled.to(self.device),
            "point_labels": torch.tensor([labels], dtype=torch.int32, device=self.device),
        }
        earlier = None if mask is None else resized(mask * 20 - 10, (side // 4,) * 2, antialias=True)
        return points, None, earlier

    def _mask(self, frame: int, name: str, output: Output) -> FrameMask:
        mask, score = self._on_device(lambda: self._decoded(output))
        bitmap: Bitmap
        if mask is None:
            bitmap = np.zeros(self.video.size, np.bool_)
        elif mask.dtype == np.bool_:
            bitmap = mask.astype(np.bool_, copy=False)
        else:
            bitmap = np.asarray(cv2.resize(mask, self.video.size[::-1], interpolation=cv2.INTER_LINEAR) > 0)
        return FrameMask(frame, name, bitmap, mask is not None, score)

    def _decoded(self, output: Output) -> _Decoded:
        assert output.logits is not None
        logit = float(output.score)
        score = float(torch.sigmoid(output.score))
        if logit <= 0:
            return _Decoded(None, score)
        if (
            self.device.type == "cpu"
        ):  # cv2 upsamples faster there, to the same bits, and leaves the device alone
            return _Decoded(output.logits[0, 0].float().numpy(), score)
        return _Decoded((resized(output.logits.float(), self.video.size)[0, 0] > 0).cpu().numpy(), score)

    def _on_device(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            kind, enabled = self.device.type, self.dtype is not None
            with torch.inference_mode(), torch.autocast(kind, self.dtype or torch.bfloat16, enabled=enabled):
                return work()

        result: T = self.run(guarded)
        return result
