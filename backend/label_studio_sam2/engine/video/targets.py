"""What is to be followed through a video: objects, each by its prompts and over its own span of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from label_studio_sam2.errors import PromptError
from label_studio_sam2.types import Prompt


@dataclass(frozen=True, slots=True)
class Target:
    """One object to follow: its prompts by frame, and the frames to go through, in their order (step 1 or -1)."""

    prompts: Mapping[int, Prompt]
    span: range

    def check(self, name: str, count: int) -> None:
        """Raises PromptError unless it can be followed in a video of `count` frames."""
        if not self.prompts:
            raise PromptError(
                f"Object {name} has no prompt to start from; draw a box around it on one frame."
            )
        frames = (*self.prompts, *self.span[:1], *self.span[-1:])
        outside = [frame for frame in frames if not 0 <= frame < count]
        if outside:
            raise PromptError(
                f"Object {name}: frame {outside[0]} is outside the video, which has {count} frames."
            )
        if abs(self.span.step) != 1:
            raise PromptError(
                f"Object {name}: frames are followed one by one, not {self.span.step} at a time."
            )


Targets = Mapping[str, Target]
"""By the object's name."""


def span_of(targets: Targets) -> range:
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
