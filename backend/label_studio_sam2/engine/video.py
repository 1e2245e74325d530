"""Following objects through a video with SAM 2's memory, frame by frame, in memory that doesn't grow.

The network's own steps are used (`SAM2Base.track_step` and what it is made of), never the predictor's
`init_state`, which holds every frame and every result. Results equal the stock predictor's: the same resizing of
frames, the same past for each frame. Nothing is written to the network, so all threads may share it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch

from label_studio_sam2.engine.frame_input import Frames
from label_studio_sam2.engine.memory_bank import Reach, TrackState
from label_studio_sam2.engine.tracker import Encode, Run, Target, Tracker
from label_studio_sam2.engine.tracking_network import Features, TrackingNetwork
from label_studio_sam2.errors import PromptError
from label_studio_sam2.types import FrameMask

__all__ = ["Encode", "Features", "Frames", "Run", "Target", "TrackState", "span_of", "track"]

T = TypeVar("T")


def call(work: Callable[[], T]) -> T:
    return work()


def compute(_frame: int, encode: Callable[[], Features]) -> Features:
    return encode()


def track(
    network: Any,
    video: Frames,
    targets: Mapping[str, Target],
    *,
    state: TrackState | None = None,
    run: Run[Any] = call,
    encode: Encode = compute,
    dtype: torch.dtype | None = None,
) -> Iterator[tuple[FrameMask, ...]]:
    """Follow each target over its span; yields the masks of one frame at a time, of the objects due there.

    Ending the iteration ends the work. `state` is brought up to date before each yield: called again with it and
    with spans that begin after the last frame, tracking goes on as if it had not stopped. A new prompt on the very
    frame that `state` ends at is a correction: it is decoded together with the memory and the mask that were there,
    and replaces them. All other prompts condition the model by themselves, wherever they are; a prompt with a mask
    and no points is taken as the truth.

    Each piece of device work, one frame's features or one object's step, goes through `run`; features come from
    `encode(frame, how)`, so that a cache may answer. `dtype` is the type to compute in under autocast, if any.
    Raises PromptError for a target without prompts or with prompts or a span outside the video.
    """
    for name, target in targets.items():
        _check(name, target, len(video))
    tracker = Tracker(
        TrackingNetwork(network, video.size, len(video), dtype),
        Reach.of(network),
        video,
        TrackState() if state is None else state,
        run,
        encode,
    )
    yield from tracker.follow(targets, span_of(targets))


def _check(name: str, target: Target, count: int) -> None:
    if not target.prompts:
        raise PromptError(f"Object {name} has no prompt to start from; draw a box around it on one frame.")
    outside = [
        frame for frame in (*target.prompts, *target.span[:1], *target.span[-1:]) if not 0 <= frame < count
    ]
    if outside:
        raise PromptError(
            f"Object {name}: frame {outside[0]} is outside the video, which has {count} frames."
        )
    if abs(target.span.step) != 1:
        raise PromptError(f"Object {name}: frames are followed one by one, not {target.span.step} at a time.")


def span_of(targets: Mapping[str, Target]) -> range:
    """The frames from the first to the last that any target is due on, in the one direction that all go."""
    spans = [target.span for target in targets.values() if target.span]
    if not spans:
        return range(0)
    if len({span.step for span in spans}) > 1:
        raise PromptError(
            "Objects can't be followed forward and backward at once; ask for one after the other."
        )
    if spans[0].step > 0:
        return range(min(span.start for span in spans), max(span.stop for span in spans))
    return range(max(span.start for span in spans), min(span.stop for span in spans), -1)
