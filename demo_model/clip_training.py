"""One training step on clips: prompt objects in the first frame, follow them through the rest.

It does what `SAM2Base.track_step` does, with two differences: it keeps all four masks for the loss, and it does not
replace the masks of what seems absent before the loss has seen them, which would leave them without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from demo_model import prompts
from demo_model.image_training import Outcome, choose_objects
from demo_model.losses import prompt_loss, true_ious
from demo_model.model import Decoded, Features, decode, encode
from demo_model.prompts import Points, Targets

_OBJECTS = 3  # of each clip
_SCORE_WEIGHT = 1.0
_ABSENT_WEIGHT = 1.5  # in the score's loss, of a frame without the object
_BACK_WEIGHT = 4.0  # of a frame with it after it was away: what is missed there stays lost
_FIRST_PROMPTS = (("mask", 0.3), ("box", 0.4), ("click", 0.3))
_TRUE_PRESENCE_SHARE = 0.3  # of the steps that remember with the true presence instead of the predicted one
_LEAST_AREA = 16  # pixels of a 256-pixel frame that must show for an object to count as present
_ABSENT = -1024.0  # mask logits of an object that is not there, as in sam2


@dataclass
class Track:
    """N objects being followed, with what is remembered of the past in sam2's own form."""

    model: SAM2Base
    features: Features  # of all frames of all clips, clip by clip
    clips: Tensor  # (N,) which clip each object is in
    frames: int  # in each clip
    trust_truth: bool
    memory: dict[str, dict[int, Any]] = field(
        default_factory=lambda: {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    )

    def start(self, targets: Targets, kind: str) -> Decoded:
        """Prompt every object in the first frame."""
        coarse, fine, _ = self._frame(0)
        embedding = coarse + self.model.no_mem_embed.view(1, -1, 1, 1)
        nothing = prompts.none(len(self.clips), coarse.device)
        if kind == "mask":
            # sam2 takes a given mask as it is and decodes only to make a pointer.
            mask = self.model.mask_downsample(targets.masks[:, None].float())
            decoded = decode(self.model, embedding, fine, (nothing.coordinates, nothing.labels), mask)
            given = targets.masks[:, None].float() * 20 - 10
            self._remember(0, given, decoded.tokens[:, 0], torch.ones_like(decoded.score), from_points=False)
            return decoded
        points: Points = prompts.boxes(targets) if kind == "box" else prompts.clicks(targets)
        decoded = decode(self.model, embedding, fine, (points.coordinates, points.labels), None)
        self._keep(0, decoded, targets, multimask=kind == "click")
        return decoded

    def follow(self, index: int, targets: Targets) -> Decoded:
        """Find every object in the next frame from memory alone."""
        coarse, fine, position = self._frame(index)
        height, width = coarse.shape[2:]
        embedding = self.model._prepare_memory_conditioned_features(
            frame_idx=index,
            is_init_cond_frame=False,
            current_vision_feats=[coarse.flatten(2).permute(2, 0, 1)],
            current_vision_pos_embeds=[position.flatten(2).permute(2, 0, 1)],
            feat_sizes=[(height, width)],
            output_dict=self.memory,
            num_frames=self.frames,
        )
        nothing = prompts.none(len(coarse), coarse.device)
        decoded = decode(self.model, embedding, fine, (nothing.coordinates, nothing.labels), None)
        self._keep(index, decoded, targets, multimask=True)
        return decoded

    def _frame(self, index: int) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor]:
        """Coarse and fine features and the coarse position encoding of a frame, once for each object."""
        rows = self.clips * self.frames + index
        fine0, fine1 = self.features.fine
        return self.features.coarse[rows], (fine0[rows], fine1[rows]), self.features.positions[2][rows]

    def _keep(self, index: int, decoded: Decoded, targets: Targets, *, multimask: bool) -> None:
        """Remember a frame's mask and pointer, choosing as inference chooses."""
        rows = torch.arange(len(self.clips), device=decoded.ious.device)
        chosen = 1 + decoded.ious[:, 1:].argmax(1) if multimask else torch.zeros_like(rows)
        mask = decoded.logits[rows, chosen][:, None]
        present = is_present(targets) if self.trust_truth else decoded.score > 0
        mask = torch.where(present[:, None, None, None], mask, _ABSENT)
        full = F.interpolate(mask, scale_factor=4.0, mode="bilinear", align_corners=False)
        self._remember(index, full, decoded.tokens[rows, chosen], present.float(), from_points=True)

    def _remember(
        self, index: int, mask: Tensor, token: Tensor, present: Tensor, *, from_points: bool
    ) -> None:
        """Encode a full-size mask, (N, 1, H, W) logits, and a pointer into memory."""
        coarse, _, _ = self._frame(index)
        pointer = self.model.obj_ptr_proj(token)
        pointer = present[:, None] * pointer + (1 - present[:, None]) * self.model.no_obj_ptr
        features, positions = self.model._encode_new_memory(
            current_vision_feats=[coarse.flatten(2).permute(2, 0, 1)],
            feat_sizes=[coarse.shape[2:]],
            pred_masks_high_res=mask,
            object_score_logits=(present * 20 - 10)[:, None],
            is_mask_from_pts=from_points,
        )
        kept = {"maskmem_features": features, "maskmem_pos_enc": positions, "obj_ptr": pointer}
        self.memory["cond_frame_outputs" if index == 0 else "non_cond_frame_outputs"][index] = kept


def clip_step(model: SAM2Base, images: Tensor, labels: Tensor) -> Outcome:
    """Loss of a batch: images (N, T, H, W, 3) uint8 RGB, labels (N, T, H, W) uint8 object numbers."""
    frames = images.shape[1]
    clips, numbers, first = choose_objects(labels[:, 0], _OBJECTS)
    trust_truth = bool(torch.rand(()) < _TRUE_PRESENCE_SHARE)
    with torch.no_grad():  # pictures train the encoder; clips, dear as they are, what comes after it
        features = encode(model, images.flatten(0, 1))
    track = Track(model, features, clips, frames, trust_truth)
    kind = _draw_kind()
    decoded = track.start(first, kind)
    losses = [prompt_loss(decoded, first)]
    verdicts = [(decoded.score, is_present(first))]
    figures = _Figures()
    been_away = ~verdicts[0][1]
    away = [been_away]
    for index in range(1, frames):
        targets = Targets.of(labels[clips, index] == numbers[:, None, None])
        present = is_present(targets)
        decoded = track.follow(index, targets)
        losses.append(prompt_loss(decoded, targets, counted=present))
        verdicts.append((decoded.score, present))
        been_away = been_away | ~present
        away.append(been_away)
        figures.count(decoded, targets, present, been_away)
    scores, presences = (torch.cat(parts) for parts in zip(*verdicts, strict=True))
    weights = torch.where(presences, torch.where(torch.cat(away), _BACK_WEIGHT, 1.0), _ABSENT_WEIGHT)
    score_loss = F.binary_cross_entropy_with_logits(scores, presences.float(), weights)
    loss = torch.stack(losses).mean() + _SCORE_WEIGHT * score_loss
    return Outcome(loss, figures.means() | {"clip_loss": loss.item(), "score_loss": score_loss.item()})


def is_present(targets: Targets) -> Tensor:
    """(N,) whether enough of each target shows."""
    scale = targets.masks.shape[-1] / 256
    return targets.coarse.sum((1, 2)) * 16 >= _LEAST_AREA * scale**2


def _draw_kind() -> str:
    kinds, shares = zip(*_FIRST_PROMPTS, strict=True)
    return str(kinds[int(torch.multinomial(torch.tensor(shares), 1))])


class _Figures:
    """Sums for the log: IoU where the object is there, or there again, and how often its presence is judged right."""

    def __init__(self) -> None:
        self._sums: dict[str, list[Tensor]] = {"track": [], "seen": [], "missed": [], "found_again": []}

    def count(self, decoded: Decoded, targets: Targets, present: Tensor, been_away: Tensor) -> None:
        """Add a frame."""
        rows = torch.arange(len(present), device=present.device)
        ious = true_ious(decoded.logits, targets.coarse)[rows, 1 + decoded.ious[:, 1:].argmax(1)]
        said = decoded.score > 0
        self._sums["track"].append(ious[present])
        self._sums["seen"].append(said[present].float())
        self._sums["missed"].append((~said[~present]).float())
        self._sums["found_again"].append((ious * said)[present & been_away])

    def means(self) -> dict[str, float]:
        """The mean of each figure that has any value."""
        joined = {name: torch.cat(values) for name, values in self._sums.items()}
        return {name: values.mean().item() for name, values in joined.items() if len(values)}
