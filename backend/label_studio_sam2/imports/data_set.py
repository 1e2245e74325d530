"""A data set as values: pictures with their objects in pixels, whatever format they came in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from label_studio_sam2.geometry import Points
from label_studio_sam2.types import Bitmap, Box, Size


@dataclass(frozen=True, slots=True)
class Thing:
    """An object by the one of these that is known of it: a `mask` (H, W), the corners of each of its parts, or a box,
    which is four `corners` in turn, (4, 2), where it may be turned."""

    label: str
    mask: Bitmap | None = None
    rings: tuple[Points, ...] = ()
    box: Box | None = None
    corners: Points | None = None
    crowd: bool = False
    score: float | None = None

    @property
    def boxed(self) -> bool:
        """Whether only a box is known."""
        return self.mask is None and not self.rings


@dataclass(frozen=True, slots=True)
class DataSetPicture:
    """`name` is its path within the data set, `path` its file, None where that isn't at hand."""

    name: str
    path: Path | None
    size: Size


@dataclass
class Flaws:
    """What couldn't be used, counted, with an example of each."""

    found: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, what: str, example: str) -> None:
        count, first = self.found.get(what, (0, example))
        self.found[what] = (count + 1, first)


class DataSet(Protocol):
    """`labels` are those that the project has to have. Objects are read a picture at a time."""

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def pictures(self) -> Sequence[DataSetPicture]: ...

    def things(self, picture: DataSetPicture, flaws: Flaws) -> Iterator[Thing]: ...
