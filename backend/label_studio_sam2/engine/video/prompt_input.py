"""A prompt as SAM 2's steps take it, in the network's square."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from label_studio_sam2.engine.host import to_device
from label_studio_sam2.engine.image.decoding import MASK_PROMPT_BIAS, MASK_PROMPT_SCALE
from label_studio_sam2.engine.video.frame_input import resized
from label_studio_sam2.types import Prompt, Size


class PromptInput(NamedTuple):
    """`points` in the network's pixels, a box as two of them; `mask` (1, 1, S, S) where it alone is the truth;
    `earlier` (1, 1, S/4, S/4): it as the logits that points refine."""

    points: dict[str, Tensor] | None
    mask: Tensor | None
    earlier: Tensor | None


def of(prompt: Prompt, size: Size, side: int, device: torch.device) -> PromptInput:
    """Of a prompt on a frame of this size, for a network whose square has this side."""
    mask = None if prompt.mask is None else _squared(torch.from_numpy(prompt.mask.bitmap()), side, device)
    corners = [] if prompt.box is None else [prompt.box[:2], prompt.box[2:]]
    clicks = [(point.x, point.y) for point in prompt.points]
    if not corners and not clicks:
        return PromptInput(None, mask, None)
    labels = [2, 3][: len(corners)] + [int(point.positive) for point in prompt.points]
    coordinates = torch.tensor([*corners, *clicks], dtype=torch.float32)[None]
    scaled = coordinates / torch.tensor([size.width, size.height]) * side
    points = {
        "point_coords": to_device(scaled, device),
        "point_labels": to_device(torch.tensor([labels], dtype=torch.int32), device),
    }
    if mask is None:
        return PromptInput(points, None, None)
    earlier = resized(mask * MASK_PROMPT_SCALE + MASK_PROMPT_BIAS, (side // 4,) * 2, antialias=True)
    return PromptInput(points, None, earlier)


def _squared(bitmap: Tensor, side: int, device: torch.device) -> Tensor:
    """A mask (H, W) as zeros and ones (1, 1, S, S)."""
    square = (side, side)
    mask = to_device(bitmap, device)[None, None].float()
    return mask if mask.shape[-2:] == square else (resized(mask, square, antialias=True) >= 0.5).float()
