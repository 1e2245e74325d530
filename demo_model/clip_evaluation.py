"""Held-out clips through the stock `SAM2VideoPredictor`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sam2.sam2_video_predictor import SAM2VideoPredictor

from demo_model.clips import Clip, Frame
from demo_model.metrics import Estimate, balanced_accuracy, box_of, iou
from demo_model.shapes import Difficulty
from demo_model.textures import Pixels

WIDTH, HEIGHT = 320, 240
FRAMES = 24
HIDDEN = (8, 4)  # first frame and number of frames of the full occlusion
_LEAST_AREA = (
    0.002  # of the frame: what shows less counts neither as present nor, unless nothing shows, as absent
)


@dataclass(frozen=True)
class Masklet:
    """One object followed through a clip from a box in its first frame."""

    ious: list[float]  # for each later frame; an object out of sight wants an empty mask
    scores: list[float]  # the object score's logit for each later frame
    shares: list[float]  # of the frame that truly shows the object


def evaluate_clips(model: SAM2VideoPredictor, difficulty: Difficulty, count: int) -> list[list[Masklet]]:
    """Follow every object that the first frame shows, in each of the first `count` held-out clips."""
    return [
        _follow(model, Clip(seed, difficulty=difficulty, width=WIDTH, height=HEIGHT)) for seed in range(count)
    ]


def evaluate_occlusions(model: SAM2VideoPredictor, difficulty: Difficulty, count: int) -> list[Masklet]:
    """Follow an object through a full occlusion, in `count` held-out clips."""
    clips = (Clip(s, difficulty=difficulty, width=WIDTH, height=HEIGHT, hide=HIDDEN) for s in range(count))
    return [
        _follow(model, clip, only_first=True)[0]
        for clip in clips
        if clip.frame(0).masks[0].mean() >= _LEAST_AREA
    ]


def summarise_clips(clips: list[list[Masklet]], occlusions: list[Masklet]) -> dict[str, Estimate]:
    """The video rows of the table."""
    back = sum(HIDDEN) - 1  # of the later frames: the first in which the object shows again
    return {
        "masklet": Estimate.of(
            [float(np.mean([m.ious for m in masklets])) for masklets in clips if masklets]
        ),
        "after_occlusion": Estimate.of([float(np.mean(masklet.ious[back:])) for masklet in occlusions]),
        "absence": _presence_accuracy(clips),
    }


def _presence_accuracy(clips: list[list[Masklet]]) -> Estimate:
    """Balanced accuracy over all frames, its error by leaving out one clip at a time (jackknife)."""

    def accuracy(chosen: list[list[Masklet]]) -> float:
        pairs = [
            (score > 0, share > 0)
            for masklets in chosen
            for masklet in masklets
            for score, share in zip(masklet.scores, masklet.shares, strict=True)
            if share == 0 or share >= _LEAST_AREA
        ]
        said, true = zip(*pairs, strict=True)
        return balanced_accuracy(list(said), list(true))

    without = np.array([accuracy(clips[:left_out] + clips[left_out + 1 :]) for left_out in range(len(clips))])
    error = float(np.sqrt((len(clips) - 1) * without.var()))
    return Estimate(round(accuracy(clips), 4), round(error, 4), len(clips))


def _follow(model: SAM2VideoPredictor, clip: Clip, *, only_first: bool = False) -> list[Masklet]:
    """Box the objects of the first frame and propagate to the last."""
    frames = [clip.frame(index) for index in range(FRAMES)]
    first = frames[0].masks
    followed = [k for k in range(1 if only_first else clip.objects) if first[k].mean() >= _LEAST_AREA]
    if not followed:
        return []
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        write_frames(Path(folder), [frame.image for frame in frames])
        state = model.init_state(folder)
        for k in followed:
            model.add_new_points_or_box(state, frame_idx=0, obj_id=k, box=np.array(box_of(first[k])))
        predicted = {index: logits[:, 0].numpy() > 0 for index, _, logits in model.propagate_in_video(state)}
    return [_judge(state, row, k, predicted, frames) for row, k in enumerate(followed)]


def _judge(
    state: dict[str, dict[int, dict[str, dict[int, dict[str, torch.Tensor]]]]],
    row: int,
    number: int,
    predicted: dict[int, NDArray[np.bool_]],
    frames: list[Frame],
) -> Masklet:
    outputs = state["output_dict_per_obj"][row]["non_cond_frame_outputs"]
    truths = [frame.masks[number] for frame in frames[1:]]
    return Masklet(
        ious=[iou(predicted[index][row], truth) for index, truth in enumerate(truths, start=1)],
        scores=[float(outputs[index]["object_score_logits"]) for index in range(1, len(frames))],
        shares=[float(truth.mean()) for truth in truths],
    )


def write_frames(folder: Path, frames: list[Pixels]) -> None:
    """As numbered JPEG files, which is what the stock predictor reads."""
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index:05d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
