"""A picture as it is written: its name, its side of the split, its size, its objects, and its file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2

from label_studio_sam2.errors import ServiceError
from label_studio_sam2.exports.categories import Categories
from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.media_files import pictures
from label_studio_sam2.media_files.pictures import Shown
from label_studio_sam2.types import Pixels, Size

TRAIN, VAL = "train", "val"

AS_THEY_ARE = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp"}
"""Formats that every trainer reads, by Pillow's names; a picture of another, or a turned one, is written as PNG."""


@dataclass(frozen=True, slots=True)
class File:
    """A picture's file as it was found."""

    path: Path
    shown: Shown
    max_pixels: int

    @classmethod
    def of(cls, address: str, task: int | None, sources: Sources) -> File:
        """Raises ServiceError where it can't be had, or is no picture."""
        path = sources.path(address, task)
        return cls(path, pictures.shown(path, max_pixels=sources.max_pixels), sources.max_pixels)

    @property
    def suffix(self) -> str:
        """Of the file that is written."""
        own = self.path.suffix.lower()
        usual = AS_THEY_ARE.get(self.shown.format) if self.shown.upright else None
        return ".png" if usual is None else own if (usual, own) == (".jpg", ".jpeg") else usual

    def pixels(self) -> Pixels:
        """Upright."""
        return pictures.read(self.path, max_pixels=self.max_pixels)

    def write(self, path: Path) -> None:
        """Byte for byte where whoever reads it sees it upright, otherwise the upright picture."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.shown.upright and self.shown.format in AS_THEY_ARE:
            shutil.copyfile(self.path, path)
        elif not cv2.imwrite(str(path), cv2.cvtColor(self.pixels(), cv2.COLOR_RGB2BGR)):
            raise ServiceError(f"{path} can't be written. Is there room on the disk?")


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """`name` is that of its file, which no other has, whatever its suffix."""

    name: str
    side: str
    size: Size
    instances: Sequence[Instance]
    file: File | None
    task: int | None
    annotation: int | None
    address: str

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem


@dataclass(frozen=True, slots=True)
class Target:
    """Where a format is written, with what categories, and into which sides its pictures are split."""

    out: Path
    categories: Categories
    sides: tuple[str, ...]
