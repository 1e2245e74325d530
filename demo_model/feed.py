"""Batches of drawn scenes and clips from a process of their own, so that drawing and training overlap."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cv2
import numpy as np
import torch
from torch import Tensor

from demo_model.clips import Clip
from demo_model.scenes import draw_scene, renumbered
from demo_model.shapes import Difficulty
from demo_model.textures import Pixels

_OVERSAMPLING = 1.25  # pictures are drawn this much larger than the model sees them
_CLIP_STARTS = 200  # a training clip begins at one of this many frames
_HIDDEN_SHARE = 0.6  # of the training clips
_OVERLAPPING_SHARE = (
    0.35  # of the training scenes; they are single frames of clips, whose objects are not kept apart
)
_LEAST_AREA = 0.004  # of the first frame, for at least one object


@dataclass(frozen=True)
class Source:
    """Which training pictures to draw: single ones, or clips where `frames` is more than one."""

    size: int  # pixels a side, as the model sees them
    batch: int
    frames: int
    plain_share: float  # of the pictures that are plain; the others are hard

    def draw(self, first_seed: int) -> tuple[Pixels, Pixels]:
        """A batch: (B, frames, size, size, 3) RGB and (B, frames, size, size) object numbers."""
        draw = draw_training_scene if self.frames == 1 else draw_training_clip
        pairs = [draw(self, seed) for seed in range(first_seed, first_seed + self.batch)]
        images, labels = zip(*pairs, strict=True)
        return np.stack(images), np.stack(labels)


def draw_training_scene(source: Source, seed: int) -> tuple[Pixels, Pixels]:
    """A scene as a clip of one frame: (1, size, size, 3) and (1, size, size)."""
    rng = np.random.default_rng((3, seed))
    difficulty, width, height = _choose_kind(rng, source)
    if rng.random() < _OVERLAPPING_SHARE:
        clip = Clip(seed, difficulty=difficulty, split="training", width=width, height=height)
        frame = clip.frame(int(rng.integers(_CLIP_STARTS)))
        image, labels = squeeze(frame.image, renumbered(frame.labels), source.size)
    else:
        scene = draw_scene(seed, difficulty=difficulty, split="training", width=width, height=height)
        image, labels = squeeze(scene.image, scene.labels, source.size)
    return image[None], labels[None]


def draw_training_clip(source: Source, seed: int) -> tuple[Pixels, Pixels]:
    """Some frames of a clip, from one where an object is in sight: (frames, size, size, 3) and (frames, size, size).

    In most of them an object is hidden soon after the beginning and comes back before the end.
    """
    rng = np.random.default_rng((4, seed))
    difficulty, width, height = _choose_kind(rng, source)
    start, stride = int(rng.integers(_CLIP_STARTS)), int(rng.integers(1, 4))
    hide = None
    if rng.random() < _HIDDEN_SHARE:
        # For as long as half the clip, which can be more frames than the model remembers besides the first.
        hide = start + stride * int(rng.integers(2, 4)), stride * int(rng.integers(1, source.frames // 2 + 1))
    clip = Clip(seed, difficulty=difficulty, split="training", width=width, height=height, hide=hide)
    while (clip.frame(start).labels > 0).mean() < _LEAST_AREA:
        start += 3
    frames = [clip.frame(start + stride * number) for number in range(source.frames)]
    pairs = [squeeze(frame.image, frame.labels, source.size) for frame in frames]
    images, labels = zip(*pairs, strict=True)
    return np.stack(images), np.stack(labels)


def squeeze(image: Pixels, labels: Pixels, size: int) -> tuple[Pixels, Pixels]:
    """A picture (H, W, 3) and its object numbers (H, W) as a square of `size` pixels, as SAM 2 takes every picture."""
    small = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    # INTER_NEAREST takes the upper left sample of what a pixel covers instead of the middle one: it moves every object
    # by up to half a pixel to the lower right.
    numbers = cv2.resize(labels, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    return small.astype(np.uint8), numbers.astype(np.uint8)


def batches(source: Source, first_seed: int, every: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches as `Source.draw` gives them, drawn one ahead in a process that ends with the iterator.

    `every` is how far the seeds of two batches lie apart: the pictures of a step, of all trainers together.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_forever, args=(sender, source, first_seed, every), daemon=True)
    process.start()
    sender.close()
    shape = (source.batch, source.frames, source.size, source.size)
    try:
        while True:
            yield _receive(receiver, (*shape, 3)), _receive(receiver, shape)
    finally:
        process.terminate()
        process.join()


def _choose_kind(rng: np.random.Generator, source: Source) -> tuple[Difficulty, int, int]:
    """Difficulty, width and height of a picture of some aspect ratio."""
    difficulty: Difficulty = "plain" if rng.random() < source.plain_share else "hard"
    short = round(_OVERSAMPLING * source.size)
    long = round(short * rng.uniform(1, 1.6))
    return (difficulty, long, short) if rng.random() < 0.7 else (difficulty, short, long)


def _receive(receiver: Connection, shape: tuple[int, ...]) -> Tensor:
    pixels = np.empty(shape, np.uint8)
    receiver.recv_bytes_into(pixels.data.cast("B"))
    return torch.from_numpy(pixels)


def _send_forever(sender: Connection, source: Source, first_seed: int, every: int) -> None:
    cv2.setNumThreads(1)
    for seed in range(first_seed, 1 << 62, every):
        try:
            for pixels in source.draw(seed):
                sender.send_bytes(pixels.data.cast("B"))
        except BrokenPipeError:
            return
