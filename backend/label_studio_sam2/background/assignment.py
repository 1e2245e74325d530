"""What a track is to follow, as a value: two that are equal have the same result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from label_studio_sam2.types import Prompt


@dataclass(frozen=True)
class Assignment:
    """What is to be followed, and all that the result depends on: objects of one task, each with the prompts that the
    annotator gave, in one file, by which version of the model, how far, and on which of the editor's frames.

    By object, `frame_rates` are the editor's frames a second and how many it counts, and `spans` those of its frames
    that are followed; of a list of pictures, `firsts` is the one on which it was asked for. Where the objects are still
    to be found, `words` are what by, and all that this depends on.
    """

    task: int | str | None
    digest: str
    model_version: str
    prompts: Mapping[str, Mapping[int, Prompt]]
    masks: bool
    backward: bool
    frame_rates: Mapping[str, tuple[float, int]]
    spans: Mapping[str, tuple[range, ...]]
    words: Hashable = None
    firsts: Mapping[str, int] = field(default_factory=dict)

    def overlaps(self, other: Assignment) -> bool:
        """Whether the newer one makes the other moot: it asks for one of its objects, or for other words."""
        shared = not self.prompts.keys().isdisjoint(other.prompts)
        return self.task == other.task and (shared or None not in (self.words, other.words))
