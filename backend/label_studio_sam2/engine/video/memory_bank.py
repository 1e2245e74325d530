"""What tracking remembers of one object: no more than later frames look back at, however long the video.

SAM 2 conditions a frame on the prompted frames nearest to it, on the mask memories of the last `num_maskmem - 1`
frames and on the object pointers of the last `max_obj_ptrs_in_encoder - 1` (Ravi et al. 2024, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sam2.modeling.sam2_utils import select_closest_cond_frames
from torch import Tensor

from label_studio_sam2.types import Prompt

CONDITIONING_LIMIT = 8
"""Prompted frames attended to where the model sets no limit of its own: upstream would attend to every one."""


class Output(NamedTuple):
    """What the model made of an object on one frame, for one object (batch 1).

    `memory` (1, C, S, S) and `pointer` (1, D) are what later frames look at; `logits` (1, 1, 4S, 4S) are the mask
    before upsampling, `score` (1, 1) is the logit of "the object is visible", and `iou` (1, 1) what the model thinks of
    the mask. What is no longer needed is None.
    """

    memory: Tensor | None
    pointer: Tensor
    logits: Tensor | None
    score: Tensor
    iou: Tensor


class Past(NamedTuple):
    """The outputs that a frame is conditioned on, by frame: of prompted frames the nearest, and the recent others."""

    prompted: Mapping[int, Output]
    recent: Mapping[int, Output]


class Reach(NamedTuple):
    """How far a model looks back: frames with mask memories, frames with pointers, prompted frames."""

    memories: int
    pointers: int
    conditioning: int

    @classmethod
    def of(cls, network: Any) -> Reach:
        limit = network.max_cond_frames_in_attn
        return cls(
            memories=network.num_maskmem * network.memory_temporal_stride_for_eval,
            pointers=network.max_obj_ptrs_in_encoder,
            conditioning=limit if limit > 0 else CONDITIONING_LIMIT,
        )


@dataclass
class MemoryBank:
    """One object's past. `prompted` are the outputs of prompted frames, `tracked` those of the last others."""

    prompted: dict[int, Output] = field(default_factory=dict)
    tracked: dict[int, Output] = field(default_factory=dict)

    def condition(self, frame: int, output: Output) -> None:
        self.prompted[frame] = output
        self.tracked.pop(frame, None)

    def add(self, frame: int, output: Output) -> None:
        self.tracked[frame] = output

    def at(self, frame: int) -> Output:
        """The output on the frame that was tracked last."""
        return self.prompted[frame] if frame in self.prompted else self.tracked[frame]

    def frames(self, nearest: Iterable[int]) -> object:
        """Equal for two objects whose pasts are of the same frames, so that one batch can hold both."""
        return tuple(nearest), frozenset(self.prompted), frozenset(self.tracked)

    def look_back(self, nearest: Iterable[int]) -> Past:
        """The past, of the prompted frames only the `nearest`, in their order."""
        chosen = {frame: self.prompted[frame] for frame in nearest}
        # A prompted frame that is recent but not among the nearest counts as a tracked one, as upstream has it.
        others = {frame: output for frame, output in self.prompted.items() if frame not in chosen}
        return Past(chosen, {**others, **self.tracked})

    def forget(self, frame: int, nearest: Iterable[int], reach: Reach, step: int) -> None:
        """After `frame` was tracked in direction `step`, drop what no later frame looks back at."""
        kept = frozenset(nearest)
        for past in [past for past in self.tracked if past != frame]:
            age = abs(frame - past)
            output = self.tracked.pop(past)
            if age < max(reach.pointers, reach.memories):
                memory = output.memory if age < reach.memories else None
                self.tracked[past] = output._replace(memory=memory, logits=None)
        for past in [past for past in self.prompted if past not in kept]:
            if (frame - past) * step > max(reach.pointers, reach.memories):
                del self.prompted[past]


def nearest_prompted(frame: int, prompts: Mapping[int, Prompt], limit: int) -> list[int]:
    """The prompted frames that tracking `frame` is conditioned on."""
    chosen, _ = select_closest_cond_frames(frame, dict.fromkeys(prompts), limit)
    return list(chosen)
