"""What is asked of a detector: to look at a picture once, and to read words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from label_studio_sam2.engine.words.tokens import Floats, Tokens
from label_studio_sam2.types import Pixels


class Detector(Protocol):
    """An open-vocabulary detector whose picture side doesn't depend on the words. Safe to share between threads.

    `threshold`: boxes that it rates lower are not answered, where a project doesn't say otherwise.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Of all that its picture side depends on."""
        ...

    @property
    def threshold(self) -> float: ...

    @property
    def shape(self) -> tuple[int, int]:
        """How many tokens a picture's side has, and how many numbers each of their looks."""
        ...

    def prepare(self, pixels: Pixels) -> Any:
        """The picture as `look` wants it; nothing of that needs the device."""

    def look(self, prepared: Any) -> Tokens:
        """The picture side. To be called on the lane."""
        ...

    def read(self, phrases: Sequence[str]) -> Floats:
        """A query (Q, D) of length one for each phrase. To be called on the lane."""
        ...
