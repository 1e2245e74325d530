"""Labels as numbered categories, in the order of their first appearance."""

from __future__ import annotations

from typing import Any


class Categories:
    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, label: str) -> int:
        return self._numbers.setdefault(label, len(self._numbers) + 1)

    def rows(self) -> list[dict[str, Any]]:
        """COCO's list of categories."""
        return [{"id": number, "name": label, "supercategory": ""} for label, number in self._numbers.items()]
