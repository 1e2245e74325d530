"""How much each has of what all want, so that who has least goes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from label_studio_sam2.request.whose import Whose


class Shares:
    """Counts by project, and by task of a project."""

    def __init__(self, held: Iterable[Whose] = ()) -> None:
        self._held: Counter[Hashable] = Counter()
        for whose in held:
            self.add(whose)

    def add(self, whose: Whose) -> None:
        self._held[whose.project,] += 1
        self._held[whose] += 1

    def of(self, whose: Whose) -> tuple[int, int]:
        """The project's, and the task's."""
        return self._held[whose.project,], self._held[whose]
