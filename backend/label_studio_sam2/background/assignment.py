"""What a track is to follow, as a value: two that are equal have the same result."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any

from label_studio_sam2.background.shared.store import digest
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

    @property
    def objects(self) -> list[str]:
        """What of its task it makes moot that was asked for earlier; none where the task has no name."""
        if self.task is None:
            return []
        return [*(f"object {name}" for name in self.prompts), *(["words"] if self.words is not None else [])]

    @cached_property
    def written(self) -> str:
        """The same in every process where they are equal."""
        return digest(_written(self))


def _written(value: Any) -> Any:
    """Without what differs from one process to another: the order of sets, and of mappings."""
    if is_dataclass(value) and not isinstance(value, type):
        return [_written(getattr(value, one.name)) for one in fields(value)]
    if isinstance(value, Mapping):
        return sorted(([repr(key), _written(each)] for key, each in value.items()), key=repr)
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, tuple | list):
        return [_written(each) for each in value]
    return value
