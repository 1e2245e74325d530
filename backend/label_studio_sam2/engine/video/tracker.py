"""Following objects through a video with SAM 2's memory, frame by frame, in memory that doesn't grow.

The network's own steps are used (`SAM2Base.track_step` and what it is made of), never the predictor's `init_state`,
which holds every frame and every result. Results equal the stock predictor's: the same resizing of frames, the same
past for each frame. Nothing is written to the network, so all threads may share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import cv2
import numpy as np

from label_studio_sam2.engine.turn import OnDevice
from label_studio_sam2.engine.video.memory_bank import MemoryBank, nearest_prompted
from label_studio_sam2.engine.video.source import Seen, Source
from label_studio_sam2.engine.video.targets import Target, Targets, span_of
from label_studio_sam2.engine.video.tracking_network import Decoded, TrackingNetwork
from label_studio_sam2.types import Bitmap, FrameMask, Prompt, Size

T = TypeVar("T")

CELLS_AT_ONCE = {"cpu": 64**2}
MANY_CELLS = 16 * 64**2
"""Cells of the embedding, of all objects, in one step. On a CPU a batch only pays while it is small, and a click has to
wait for the whole of it: one object at 1024 px, sixteen at 256."""


@dataclass(frozen=True)
class Tracker:
    """A network at work on one video, or on pictures in their order. `on_device` takes each step of some objects;
    `banks` are the objects' memories, by name."""

    network: TrackingNetwork
    source: Source
    on_device: OnDevice
    banks: dict[str, MemoryBank] = field(default_factory=dict)

    def follow(self, targets: Targets) -> Iterator[tuple[FrameMask, ...]]:
        """Follow each target over its span; yields the masks of one frame at a time, of the objects due there.

        Ending the iteration ends the work. Each prompt conditions the model by itself, wherever it is; one with a mask
        and no points is taken as the truth. Raises PromptError for a target without prompts or with prompts or a span
        outside the video.
        """
        for name, target in targets.items():
            target.check(name, len(self.source))
            self.banks.setdefault(name, MemoryBank())
        span = span_of(targets)
        for frame, seen in self.source.along(span):
            due = {name: target for name, target in targets.items() if frame in target.span}
            nearest = {name: self._nearest(frame, target.prompts) for name, target in due.items()}
            for name, target in due.items():
                self._condition(self.banks[name], target, nearest[name])
            masks = self._followed(frame, seen, due, nearest, backward=span.step < 0)
            for name in due:
                self.banks[name].forget(frame, nearest[name], self.network.reach, span.step)
            yield masks

    def _nearest(self, frame: int, prompts: Mapping[int, Prompt]) -> list[int]:
        return nearest_prompted(frame, prompts, self.network.reach.conditioning)

    def _condition(self, bank: MemoryBank, target: Target, frames: list[int]) -> None:
        """Decode the prompts of these frames, if that was not done, each by itself."""
        for frame in frames:
            if frame not in bank.prompted:
                seen = self.source.at(frame)
                work = partial(
                    self.network.prompted, seen.features(), frame, target.prompts[frame], seen.size
                )
                bank.condition(frame, self._compute(work))

    def _followed(
        self,
        frame: int,
        seen: Seen,
        due: Mapping[str, Target],
        nearest: Mapping[str, list[int]],
        *,
        backward: bool,
    ) -> tuple[FrameMask, ...]:
        """A step for each object that isn't prompted here, and the masks of all in the turn of the last."""
        names = [name for name, target in due.items() if frame not in target.prompts]
        features = seen.features() if names else ()

        def step(some: list[str]) -> None:
            pasts = [self.banks[name].look_back(nearest[name]) for name in some]
            outputs = self.network.tracked(features, frame, pasts, backward=backward)
            for name, output in zip(some, outputs, strict=True):
                self.banks[name].add(frame, output)

        def masks(last: list[str]) -> list[Decoded]:
            if last:
                step(last)
            return self.network.decoded([self.banks[name].at(frame) for name in due], seen.size)

        *others, last = self._groups(names, nearest) or [[]]
        for some in others:
            self._compute(partial(step, some))
        decoded = self._compute(partial(masks, last))
        return tuple(self._mask(frame, name, one, seen.size) for name, one in zip(due, decoded, strict=True))

    def _groups(self, names: list[str], nearest: Mapping[str, list[int]]) -> list[list[str]]:
        """Objects that take a step together: those with memories of the same frames, some at a time."""
        alike: dict[object, list[str]] = {}
        for name in names:
            alike.setdefault(self.banks[name].frames(nearest[name]), []).append(name)
        at_once = max(1, CELLS_AT_ONCE.get(self.network.device.type, MANY_CELLS) // self.network.cells)
        return [
            group[begin : begin + at_once]
            for group in alike.values()
            for begin in range(0, len(group), at_once)
        ]

    def _mask(self, frame: int, name: str, decoded: Decoded, size: Size) -> FrameMask:
        bitmap: Bitmap
        if decoded.mask is None:
            bitmap = np.zeros(size, np.bool_)
        elif decoded.mask.dtype == np.bool_:
            bitmap = decoded.mask.astype(np.bool_, copy=self.network.device.type == "cuda")
        else:
            bitmap = np.asarray(cv2.resize(decoded.mask, size[::-1], interpolation=cv2.INTER_LINEAR) > 0)
        return FrameMask(frame, name, bitmap, decoded.mask is not None, decoded.score, decoded.iou)

    def _compute(self, work: Callable[[], T]) -> T:
        return self.network.compute(self.on_device, work)
