"""What a project has to learn from, parted into examples to tune with, to stop by and to measure on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from itertools import zip_longest
from typing import Any, Literal

from label_studio_sam2.engine.tuning.measuring import Example
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.learning.near_duplicates import Thumbnail, joined
from label_studio_sam2.types import Picture
from label_studio_sam2.wording import counted

BLOCK, HELD_OUT, CHECKING = 8, 2, 1
"""Of eight tasks in a row, two are never trained on and one decides when to stop."""

LEAST_HELD_OUT_TASKS = 3
LEAST_TRAINING_MASKS = 5

Side = Literal["training", "checking", "held out"]

Parted = dict[Side, list[Example]]


def parted() -> Parted:
    return {"training": [], "checking": [], "held out": []}


class TooLittle(Exception):
    """There is not enough to tune with or to measure on; the text says what is missing."""


@dataclass(frozen=True)
class Shown:
    """A picture or frame of a task with what was accepted on it, what was suggested there and rejected, and a
    thumbnail."""

    task: int
    picture: Picture
    accepted: list[Example]
    rejected: list[Example]
    seen: Thumbnail


@dataclass
class TrainingSet:
    """What a project has to learn from, and what couldn't be used. `annotations` is how many the project has, as Label
    Studio counts them: submitted, not skipped. `elsewhere` is what the base finds apart from what was accepted."""

    annotations: int = 0
    shown: list[Shown] = field(default_factory=list)
    elsewhere: Parted = field(default_factory=parted)
    unusable: int = 0
    first_trouble: str = ""

    @cached_property
    def first(self) -> dict[int, int]:
        """For each task the first of those that show the same; only asked for when all have been read."""
        return joined([(one.task, one.seen) for one in self.shown])

    @cached_property
    def examples(self) -> Parted:
        """What was accepted, by side; tasks that show the same are one group."""
        found = parted()
        for one in self.shown:
            group = self.first[one.task]
            found[side_of(group)] += [replace(example, group=str(group)) for example in one.accepted]
        return found

    @property
    def rejected(self) -> list[Example]:
        """What was suggested to annotators on training's side and thrown away."""
        training = (one for one in self.shown if side_of(self.first[one.task]) == "training")
        return [example for one in training for example in one.rejected]

    @property
    def tasks(self) -> set[int]:
        """Those with an accepted mask."""
        return {one.task for one in self.shown if one.accepted}

    @property
    def masks(self) -> int:
        return sum(len(one.accepted) for one in self.shown)

    def skip(self, error: ServiceError) -> None:
        self.unusable += 1
        self.first_trouble = self.first_trouble or error.detail

    def in_turns(self) -> Iterator[tuple[int, Shown]]:
        """Of each side one, so that all have some when time is over, each with its group."""
        by_side: dict[Side, list[tuple[int, Shown]]] = {side: [] for side in parted()}
        for one in self.shown:
            by_side[side_of(self.first[one.task])].append((self.first[one.task], one))
        for row in zip_longest(*by_side.values()):
            yield from (one for one in row if one is not None)

    def counts(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "tasks": len(self.tasks),
            "groups": len({self.first[task] for task in self.tasks}),
            "annotations": self.annotations,
            "masks": self.masks,
            "unusable": self.unusable,
            **{side.replace(" ", "_"): len(examples) for side, examples in self.examples.items()},
            "corrected": sum(example.weight > 1 for one in self.shown for example in one.accepted),
            "rejected": len(self.rejected),
            "elsewhere": sum(map(len, self.elsewhere.values())),
        }

    def require(self) -> None:
        """Raises TooLittle."""
        held_out = len({example.group for example in self.examples["held out"]})
        if len(self.examples["training"]) >= LEAST_TRAINING_MASKS and held_out >= LEAST_HELD_OUT_TASKS:
            return
        tasks, groups = len(self.tasks), len({self.first[task] for task in self.tasks})
        enough = BLOCK * LEAST_HELD_OUT_TASKS // HELD_OUT
        alike = f" that show {counted(groups, 'different picture')}" if groups < tasks else ""
        trouble = (
            f" {self.unusable} could not be used; the first: {self.first_trouble}" if self.unusable else ""
        )
        raise TooLittle(
            f"Not tuned: {counted(self.masks, 'accepted mask')} on {counted(tasks, 'task')}{alike} "
            f"{'is' if self.masks == 1 else 'are'} too few to learn from and to measure on. Accept masks on about "
            f"{counted(max(1, enough - groups), 'more task')} ({enough} in all), then start again.{trouble}"
        )


def side_of(task: int) -> Side:
    """Which part of the split a task belongs to: by its id alone, so it is the same in every run."""
    block, place = divmod(task, BLOCK)
    rank = sorted(range(BLOCK), key=lambda other: chance(block * BLOCK + other)).index(place)
    return "held out" if rank < HELD_OUT else "checking" if rank < HELD_OUT + CHECKING else "training"


def chance(task: int) -> bytes:
    return blake2b(str(task).encode(), digest_size=8).digest()
