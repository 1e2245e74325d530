"""The stock SAM 2 video predictor, fed frames from memory as its own JPEG loader would prepare them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from label_studio_sam2.types import Bitmap, Pixels, Prompt
from PIL import Image

PER_OBJECT = ("point_inputs", "mask_inputs", "output_dict", "temp_output_dict", "frames_tracked")

Masks = dict[tuple[int, str], Bitmap]


def initial_state(network: Any, pictures: Sequence[Pixels]) -> dict[str, Any]:
    """What `SAM2VideoPredictor.init_state` makes of a folder of these pictures."""
    height, width = pictures[0].shape[:2]
    side = network.image_size
    images = torch.zeros(len(pictures), 3, side, side)
    for number, picture in enumerate(pictures):
        resized = np.array(Image.fromarray(picture).convert("RGB").resize((side, side))) / 255.0
        images[number] = torch.from_numpy(resized).permute(2, 0, 1)
    images -= torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    images /= torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    return {
        "images": images.to(network.device),
        "num_frames": len(pictures),
        "offload_video_to_cpu": False,
        "offload_state_to_cpu": False,
        "video_height": height,
        "video_width": width,
        "device": network.device,
        "storage_device": network.device,
        "cached_features": {},
        "constants": {},
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
        **{f"{name}_per_obj": {} for name in PER_OBJECT},
    }


def prompt_with(network: Any, state: dict[str, Any], prompts: Mapping[str, Mapping[int, Prompt]]) -> None:
    for name, by_frame in prompts.items():
        for frame, prompt in by_frame.items():
            if prompt.mask is not None:
                network.add_new_mask(state, frame, name, prompt.mask.bitmap())
                continue
            network.add_new_points_or_box(
                state,
                frame,
                name,
                points=[[point.x, point.y] for point in prompt.points] or None,
                labels=[int(point.positive) for point in prompt.points] or None,
                box=None if prompt.box is None else np.array(prompt.box, np.float32),
            )


def propagated(network: Any, state: dict[str, Any], **where: Any) -> Masks:
    """The masks by frame and object."""
    return {
        (frame, name): (logits[0] > 0).cpu().numpy()
        for frame, names, video_logits in network.propagate_in_video(state, **where)
        for name, logits in zip(names, video_logits, strict=True)
    }
