"""Ultralytics' YOLO as a data set: outlines, boxes, or, where that is said, turned boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.geometry import Points
from label_studio_sam2.imports.data_set import DataSetPicture, Flaws, Thing
from label_studio_sam2.media_files import pictures
from label_studio_sam2.types import Box

SIDES = ("train", "val", "test")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"})

DAMAGED = "lines that can't be read"
NO_PICTURE = "pictures that can't be read"


@dataclass(frozen=True)
class Yolo:
    """A data.yaml and what it names. `turned`: four corners are a turned box, not an outline."""

    pictures: Sequence[DataSetPicture]
    labels: Sequence[str]
    turned: bool

    @classmethod
    def open(cls, path: Path, flaws: Flaws, *, max_pixels: int, turned: bool) -> Yolo:
        """Raises RequestError where the file can't be read, or names no picture that is there."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            names = data["names"]
            labels = [str(name) for name in (names.values() if isinstance(names, dict) else names)]
            root = path.parent / str(data.get("path") or "")
            files = sorted({file for side in SIDES for file in _files(data.get(side), root)})
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            raise RequestError(
                f"{path} can't be read as YOLO's data.yaml ({type(error).__name__}: {error}). Give one with names, "
                "train and val."
            ) from error
        found = [one for file in files if (one := _picture(file, root, max_pixels, flaws)) is not None]
        if not found:
            raise RequestError(
                f"{path} names no picture that is there: the folders under train and val are empty."
            )
        return cls(found, labels, turned)

    def things(self, picture: DataSetPicture, flaws: Flaws) -> Iterator[Thing]:
        assert picture.path is not None
        path = _labels_of(picture.path)
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield self._thing(line.split(), picture)
            except (ValueError, IndexError) as error:
                flaws.add(DAMAGED, f"{path}, line {number}: {error}")

    def _thing(self, words: Sequence[str], picture: DataSetPicture) -> Thing:
        label = self.labels[_class(words[0])]
        numbers = np.array(words[1:], np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError("a number is none")
        points: Points = numbers[: len(numbers) // 2 * 2].reshape(-1, 2) * picture.size[::-1]
        if len(points) == 2:
            (x, y), (width, height) = points.tolist()
            score = float(numbers[4]) if len(numbers) == 5 else None  # as its own predictions are saved
            box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            return Thing(label, box=box, score=score)
        if len(points) < 3:
            raise ValueError(f"{len(numbers)} numbers are neither a box nor an outline")
        if self.turned and len(points) == 4:
            return Thing(label, corners=points)
        return Thing(label, rings=(points,))


def _class(word: str) -> int:
    number = int(float(word))
    if number < 0:
        raise IndexError("a class below 0")
    return number


def _files(named: Any, root: Path) -> Iterator[Path]:
    """The pictures of a side: of a folder, of a list of paths in a file, or of several of these."""
    for one in named if isinstance(named, list) else [named] if named else []:
        at = root / str(one)
        if at.is_dir():
            yield from (path for path in at.rglob("*") if path.suffix.lower() in SUFFIXES)
        elif at.is_file():
            yield from (root / line.strip() for line in at.read_text().splitlines() if line.strip())


def _labels_of(path: Path) -> Path:
    """Ultralytics looks where the last folder "images" of the path is "labels"."""
    parts = list(path.parts)
    last = max((place for place, part in enumerate(parts) if part == "images"), default=None)
    if last is not None:
        parts[last] = "labels"
    return Path(*parts).with_suffix(".txt")


def _picture(path: Path, root: Path, max_pixels: int, flaws: Flaws) -> DataSetPicture | None:
    try:
        size = pictures.shown(path, max_pixels=max_pixels, name=str(path)).size
    except ServiceError as error:
        flaws.add(NO_PICTURE, error.detail)
        return None
    inside = path.resolve().is_relative_to(root.resolve())
    name = path.resolve().relative_to(root.resolve()).as_posix() if inside else path.name
    return DataSetPicture(name, path, size)
