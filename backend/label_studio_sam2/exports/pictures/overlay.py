"""The pictures themselves with their objects drawn over them, for a person to judge: outlines, names, scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from label_studio_sam2.exports.colours import tint
from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.picture import LabelledPicture, Target
from label_studio_sam2.exports.report import Report
from label_studio_sam2.media_files.painting import DARK, paint
from label_studio_sam2.types import Pixels

OPACITY = 0.35
QUALITY = 92
EDGES, LETTERS = 400, 40
"""Of a picture's shorter side: the width of an outline and the height of the letters."""


class Tag(NamedTuple):
    """A name beside its object: its left, top, right and bottom in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    def covers(self, other: Tag) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def moved(self, rows: int) -> Tag:
        return self._replace(top=self.top + rows, bottom=self.bottom + rows)


def write(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """NAME.jpg, upright."""
    for picture in pictures:
        if picture.file is not None:
            pixels = picture.file.pixels()
            Image.fromarray(drawn_over(pixels, picture)).save(
                target.out / f"{picture.stem}.jpg", quality=QUALITY
            )
            report.drew(len(picture.instances))


def drawn_over(pixels: Pixels, picture: LabelledPicture) -> Pixels:
    """The largest first, so that the smaller ones on it stay to be seen; a colour a category."""
    edge = max(2, round(min(picture.size) / EDGES))
    largest_first = sorted(picture.instances, key=lambda one: -one.mask.area)
    for instance in largest_first:
        paint(pixels, instance.mask.bitmap(), _tint(instance), opacity=OPACITY, edge=edge)
    return _named(pixels, largest_first)


def _tint(instance: Instance) -> NDArray[np.float64]:
    return tint(instance.category.place + 1)


def _named(pixels: Pixels, instances: Iterable[Instance]) -> Pixels:
    height, width = pixels.shape[:2]
    letters = max(12, round(min(height, width) / LETTERS))
    font = ImageFont.load_default(letters)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    tags: list[Tag] = []
    for instance in instances:
        text = _text(instance)
        margin = letters // 4
        long = min(width, round(draw.textlength(text, font)) + 2 * margin)
        box = instance.mask.box
        left = min(max(0, int(box.x0)), width - long)
        top = min(max(0, int(box.y0) - letters - 2 * margin), height - letters - 2 * margin)
        tag = _free(Tag(left, top, left + long, top + letters + 2 * margin), tags, height)
        tags.append(tag)
        colour = tuple(_tint(instance).astype(int).tolist())
        draw.rectangle(tag, fill=DARK, outline=colour, width=max(1, letters // 10))
        draw.text(
            (tag.left + margin, (tag.top + tag.bottom) // 2), text, fill="white", font=font, anchor="lm"
        )
    return np.asarray(image)


def _text(instance: Instance) -> str:
    rated = "" if instance.score is None else f" {instance.score:.2f}"
    return instance.label + rated + (" (crowd)" if instance.crowd else "")


def _free(tag: Tag, tags: Iterable[Tag], height: int) -> Tag:
    """Below those that are in its way, as long as it stays in the picture."""
    moved = tag
    for other in sorted(tags, key=lambda one: one.top):
        if moved.covers(other):
            moved = moved.moved(other.bottom - moved.top)
    return moved if moved.bottom <= height else tag
