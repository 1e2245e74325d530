"""Following objects through a video's frames, with memory banks that say what each frame is conditioned on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np

from label_studio_sam2.engine.frame_input import Frames, prepared, squared
from label_studio_sam2.engine.memory_bank import MemoryBank, Output, Reach, TrackState, nearest_prompted
from label_studio_sam2.engine.tracking_network import Correction, Features, TrackingNetwork, View
from label_studio_sam2.types import Bitmap, FrameMask, Pixels, Prompt

T = TypeVar("T")

Run = Callable[[Callable[[], T]], T]
Encode = Callable[[int, Callable[[], Features]], Features]

CELLS_AT_ONCE = {"cpu": 64**2}
MANY_CELLS = 16 * 64**2
"""Cells of the embedding, of all objects, in one step. On a CPU a batch only pays while it is small, and a click has to
wait for the whole of it: one object at 1024 px, sixteen at 256."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object to follow: its prompts by frame, and the frames to go through, in their order (step 1 or -1)."""

    prompts: Mapping[int, Prompt]
    span: range


@dataclass(frozen=True)
class Tracker:
    """A network at work on a video. `run` takes each piece of device work, `encode` each frame's features."""

    network: TrackingNetwork
    reach: Reach
    video: Frames
    state: TrackState
    run: Run[Any]
    encode: Encode

    def follow(self, targets: Mapping[str, Target], span: range) -> Iterator[tuple[FrameMask, ...]]:
        """The masks of each frame of `span`, of the targets that are due there."""
        banks = {name: self.state.banks.setdefault(name, MemoryBank()) for name in targets}
        for name, target in targets.items():
            self._correct(banks[name], target)
        for frame, square in prepared(self.video, span, self._side):
            due = {name: target for name, target in targets.items() if frame in target.span}
            nearest = {name: self._nearest(frame, target.prompts) for name, target in due.items()}
            for name, target in due.items():
                self._condition(banks[name], target, nearest[name])
            followed = {name: banks[name] for name, target in due.items() if frame not in target.prompts}
            if followed:
                view = self._view(frame, square)
                self._step(view, frame, followed, nearest, backward=span.step < 0)
            for name in due:
                banks[name].forget(frame, nearest[name], self.reach, span.step)
            yield tuple(self._mask(frame, name, banks[name].at(frame)) for name in due)

    @property
    def _side(self) -> int:
        return int(self.network.network.image_size)

    def _nearest(self, frame: int, prompts: Mapping[int, Prompt]) -> list[int]:
        return nearest_prompted(frame, prompts, self.reach.conditioning)

    def _correct(self, bank: MemoryBank, target: Target) -> None:
        """Decode a new prompt on the frame that tracking stopped at with the memory and the mask from there."""
        known = dict(bank.prompts)
        bank.forget_other_prompts(target.prompts)
        frame = bank.last
        if frame is None or frame not in target.prompts or known.get(frame) == target.prompts[frame]:
            return
        before = bank.tracked.get(frame)
        others = {past: prompt for past, prompt in target.prompts.items() if past != frame}
        if before is None or before.logits is None or not others:
            return
        nearest = self._nearest(frame, others)
        self._condition(bank, target, nearest)
        correction = Correction(bank.look_back(nearest), before.logits, target.span.step < 0)
        self._prompt(bank, frame, target.prompts[frame], correction)

    def _condition(self, bank: MemoryBank, target: Target, frames: list[int]) -> None:
        """Decode the prompts of these frames, if that was not done, each by itself."""
        for frame in frames:
            if frame not in bank.prompted:
                self._prompt(bank, frame, target.prompts[frame])

    def _prompt(
        self, bank: MemoryBank, frame: int, prompt: Prompt, correction: Correction | None = None
    ) -> None:
        view = self._view(frame)
        output = self._on_device(lambda: self.network.prompted(view, frame, prompt, correction))
        bank.condition(frame, prompt, output)

    def _view(self, frame: int, square: Pixels | None = None) -> View:
        """A frame's features; `square` is the frame itself, if it has been decoded."""

        def encoded() -> Features:
            pixels = squared(self.video.frame(frame), self._side) if square is None else square
            return self._on_device(lambda: self.network.encoded(pixels))

        features = self.encode(frame, encoded)
        return self._on_device(lambda: self.network.view(features))

    def _step(
        self,
        view: View,
        frame: int,
        banks: Mapping[str, MemoryBank],
        nearest: Mapping[str, list[int]],
        *,
        backward: bool,
    ) -> None:
        """One step for each object; those with memories of the same frames take it together, some at a time."""
        alike: dict[object, list[str]] = {}
        for name, bank in banks.items():
            alike.setdefault(bank.frames(nearest[name]), []).append(name)
        cells = self.network.network.sam_image_embedding_size**2
        at_once = max(1, CELLS_AT_ONCE.get(self.network.device.type, MANY_CELLS) // cells)
        groups = [
            names[begin : begin + at_once]
            for names in alike.values()
            for begin in range(0, len(names), at_once)
        ]
        for names in groups:
            pasts = [banks[name].look_back(nearest[name]) for name in names]
            work = partial(self.network.tracked, view, frame, pasts, backward=backward)
            outputs = self._on_device(work)
            for name, output in zip(names, outputs, strict=True):
                banks[name].add(frame, output)

    def _mask(self, frame: int, name: str, output: Output) -> FrameMask:
        mask, score = self._on_device(lambda: self.network.decoded(output))
        bitmap: Bitmap
        if mask is None:
            bitmap = np.zeros(self.video.size, np.bool_)
        elif mask.dtype == np.bool_:
            bitmap = mask.astype(np.bool_, copy=False)
        else:
            bitmap = np.asarray(cv2.resize(mask, self.video.size[::-1], interpolation=cv2.INTER_LINEAR) > 0)
        return FrameMask(frame, name, bitmap, mask is not None, score)

    def _on_device(self, work: Callable[[], T]) -> T:
        def computed() -> T:
            with self.network.computing():
                return work()

        result: T = self.run(computed)
        return result
