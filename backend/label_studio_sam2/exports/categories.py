"""Labels as numbered categories."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

UNLABELLED = "object"
"""The category of a region that has no label."""


class Category(NamedTuple):
    """Its `number` is the one that the labeling config gives it; `place`, from 0 on, has no gaps."""

    name: str
    number: int
    place: int


class Categories:
    """First those of the labeling config, by their numbers there; then, from the lowest free number on, whatever else
    the annotations name, in the order of its first appearance."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._known: dict[str, Category] = {}
        for name, number in sorted((known or {}).items(), key=lambda one: one[1]):
            self._known[name] = Category(name, number, len(self._known))

    def of(self, label: str) -> Category:
        if label not in self._known:
            taken = {category.number for category in self._known.values()}
            number = next(number for number in count(1) if number not in taken)
            self._known[label] = Category(label, number, len(self._known))
        return self._known[label]

    def number(self, label: str) -> int:
        return self.of(label).number

    def names(self) -> list[str]:
        """By their places."""
        return list(self._known)

    def rows(self) -> list[dict[str, Any]]:
        """COCO's list of categories."""
        return [{"id": one.number, "name": one.name, "supercategory": ""} for one in self._known.values()]
