"""COCO instances as a data set: masks as run lengths, compressed or not, polygons, or boxes alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from label_studio_sam2.errors import PromptError, RequestError
from label_studio_sam2.geometry import Points
from label_studio_sam2.imports.data_set import DataSetPicture, Flaws, Thing
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.types import Bitmap, Box, Size

Row = Mapping[str, Any]

DAMAGED = "objects that can't be read"


@dataclass(frozen=True)
class Coco:
    """One annotation file, read whole."""

    pictures: Sequence[DataSetPicture]
    names: Mapping[int, str]
    rows: Mapping[str, Sequence[Row]]

    @classmethod
    def open(cls, path: Path, images: Path | None) -> Coco:
        """`images` is the folder that its file names start from, by themselves or below it. Raises RequestError."""
        try:
            whole = orjson.loads(path.read_bytes())
            names = {
                row["id"]: str(row["name"]) for row in sorted(whole["categories"], key=lambda one: one["id"])
            }
            files = Files(images or path.parent)
            by_id = {row["id"]: _picture(row, files) for row in whole["images"]}
            rows: dict[str, list[Row]] = defaultdict(list)
            for row in whole["annotations"]:
                rows[by_id[row["image_id"]].name].append(row)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(
                f"{path} can't be read as COCO instances ({type(error).__name__}: {error}). Give a JSON file with "
                "images, annotations and categories."
            ) from error
        return cls(list(by_id.values()), names, rows)

    @property
    def labels(self) -> Sequence[str]:
        """Those that have an object: a data set may name many more."""
        used = {row.get("category_id") for rows in self.rows.values() for row in rows}
        return [name for number, name in self.names.items() if number in used]

    def things(self, picture: DataSetPicture, flaws: Flaws) -> Iterator[Thing]:
        for row in self.rows.get(picture.name, ()):
            try:
                yield _thing(row, self.names, picture.size)
            except (PromptError, ValueError, KeyError, TypeError) as error:
                flaws.add(DAMAGED, f"annotation {row.get('id')} on {picture.name}: {error}")


class Files:
    """Pictures in a folder, by the names that a data set has for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._below: dict[str, Path] | None = None

    def find(self, name: str) -> Path | None:
        """At its place, or else wherever below the folder a file has its last name."""
        at = self._folder / name
        if at.is_file():
            return at
        if self._below is None:
            self._below = {path.name: path for path in sorted(self._folder.rglob("*")) if path.is_file()}
        return self._below.get(Path(name).name)


def _picture(row: Row, files: Files) -> DataSetPicture:
    name = str(row["file_name"])
    return DataSetPicture(name, files.find(name), Size(int(row["height"]), int(row["width"])))


def _thing(row: Row, names: Mapping[int, str], size: Size) -> Thing:
    score = row.get("score")
    bare = Thing(
        names[row["category_id"]],
        crowd=bool(row.get("iscrowd")),
        score=float(score) if isinstance(score, int | float) else None,
    )
    shape = row.get("segmentation")
    if isinstance(shape, dict):
        return replace(bare, mask=_mask(shape, size))
    if shape:
        return replace(bare, rings=tuple(_ring(one) for one in shape))
    left, top, width, height = map(float, row["bbox"])
    return replace(bare, box=Box(left, top, left + width, top + height))


def _mask(shape: Row, size: Size) -> Bitmap:
    counts = shape["counts"]
    if list(shape["size"]) != list(size):
        raise ValueError(f"its mask has {shape['size']} rows and columns, its picture {list(size)}")
    if isinstance(counts, str):
        return coco_rle.decode(counts, size)
    columns = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(size.width, size.height)
    return np.ascontiguousarray(columns.T)


def _ring(numbers: Sequence[float]) -> Points:
    ring = np.array(numbers, np.float64).reshape(-1, 2)
    if len(ring) < 3 or not np.isfinite(ring).all():
        raise ValueError("its polygon has no three corners")
    return ring
