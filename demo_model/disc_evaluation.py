"""Whether masks lie on their objects: drawn discs, whose centres are known to a fraction of a pixel.

An offset is a mask's centroid minus the disc's centre, x right and y down, in pixels of the picture squeezed to
1024 x 1024.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sam2.sam2_video_predictor import SAM2VideoPredictor

from demo_model.clip_evaluation import write_frames
from demo_model.image_evaluation import image_predictor
from demo_model.metrics import Estimate
from demo_model.scenes import contrasting_colour
from demo_model.textures import Pixels

_SQUARE = 1024
_SIZES = ((512, 384), (384, 512), (320, 240), (640, 360), (256, 256))  # width, height
_RADIUS = (0.12, 0.3)  # of the shorter side
_COLOUR_DISTANCE = 32.0  # in Lab, of the disc's colour to the background's
_FRAMES = 12
_STEP = 0.012  # shorter sides that a disc moves a frame, at most along each axis

Offset = NDArray[np.float64]  # (2,): x, y


@dataclass(frozen=True)
class Disc:
    """A disc in a picture, in pixels from the picture's upper left corner."""

    x: float
    y: float
    radius: float

    @property
    def box(self) -> NDArray[np.float64]:
        """(4,): left, top, right, bottom."""
        return np.array(
            [self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius]
        )

    def draw(
        self, disc: NDArray[np.float64], background: NDArray[np.float64], size: tuple[int, int]
    ) -> Pixels:
        """A smooth-edged disc in one RGB colour on another, (height, width, 3), for a (width, height)."""
        width, height = size
        x, y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5
        cover = np.clip(self.radius + 0.5 - np.hypot(x - self.x, y - self.y), 0, 1)[..., None]
        picture: Pixels = (background + cover * (disc - background) + 0.5).astype(np.uint8)
        return picture

    def offset(self, mask: NDArray[np.bool_]) -> Offset:
        """How far a mask (height, width) lies from the disc; not a number where it is empty."""
        rows, columns = np.nonzero(mask)
        if not len(rows):
            return np.full(2, np.nan)
        away = np.array([columns.mean() + 0.5 - self.x, rows.mean() + 0.5 - self.y])
        squeezed: Offset = away * _SQUARE / np.array(mask.shape[::-1])
        return squeezed


@dataclass(frozen=True)
class DiscClip:
    """A disc that moves evenly: where it is in each frame, and the frames."""

    discs: list[Disc]
    frames: list[Pixels]


def draw_disc_clip(seed: int, frames: int) -> DiscClip:
    """A disc of some size and colour, wholly inside a picture of some shape in every frame."""
    rng = np.random.default_rng((5, seed))
    size = _SIZES[seed % len(_SIZES)]
    unit = min(size)
    radius = rng.uniform(*_RADIUS) * unit
    step = rng.uniform(-_STEP, _STEP, 2) * unit
    room = radius + 1 + np.abs(step) * (frames - 1) / 2
    middle = rng.uniform(room, size - room)
    background = rng.uniform(0, 255, 3)
    colour = contrasting_colour(rng, [background], _COLOUR_DISTANCE)
    places = [middle + step * (number - (frames - 1) / 2) for number in range(frames)]
    discs = [Disc(float(x), float(y), float(radius)) for x, y in places]
    return DiscClip(discs, [disc.draw(colour, background, size) for disc in discs])


def evaluate_discs(model: SAM2VideoPredictor, pictures: int, clips: int) -> dict[str, dict[str, Estimate]]:
    """The mean offsets along x and y of masks from a click in the middle, from a box, and of masklets from a box."""
    figures = {name: _along_axes(offsets) for name, offsets in _picture_offsets(model, pictures).items()}
    if clips:
        first, later = zip(*[_clip_offsets(model, seed) for seed in range(clips)], strict=True)
        figures |= {"first_frame": _along_axes(list(first)), "later_frames": _along_axes(list(later))}
    return figures


def _along_axes(offsets: list[Offset]) -> dict[str, Estimate]:
    return {axis: Estimate.of([float(offset[k]) for offset in offsets]) for k, axis in enumerate("xy")}


def _picture_offsets(model: SAM2VideoPredictor, count: int) -> dict[str, list[Offset]]:
    """Through the stock image predictor."""
    predictor = image_predictor(model)
    offsets: dict[str, list[Offset]] = {"click": [], "box": []}
    with torch.inference_mode():
        for seed in range(count):
            clip = draw_disc_clip(seed, frames=1)
            disc = clip.discs[0]
            predictor.set_image(clip.frames[0])
            masks, scores, _ = predictor.predict(np.array([[disc.x, disc.y]]), np.array([1]))
            boxed, _, _ = predictor.predict(box=disc.box, multimask_output=False)
            offsets["click"].append(disc.offset(masks[scores.argmax()] > 0))
            offsets["box"].append(disc.offset(boxed[0] > 0))
    return offsets


def _clip_offsets(model: SAM2VideoPredictor, seed: int) -> tuple[Offset, Offset]:
    """In the first frame and on average in the later ones, through the stock video predictor."""
    clip = draw_disc_clip(seed, _FRAMES)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        write_frames(Path(folder), clip.frames)
        state = model.init_state(folder)
        model.add_new_points_or_box(state, frame_idx=0, obj_id=0, box=clip.discs[0].box)
        offsets = [
            clip.discs[index].offset(logits[0, 0].numpy() > 0)
            for index, _, logits in model.propagate_in_video(state)
        ]
    return offsets[0], np.mean(offsets[1:], axis=0)
