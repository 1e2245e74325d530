"""Pictures of any size that is shown: those of more pixels than are decoded at once are read in parts, each scaled down
to what anybody looks at of it, where their format lets so much be decoded without the rest.

That is: the tiles or strips of a TIFF, and a JPEG of one scan at a half, a quarter or an eighth of its size. Everything
else would have to be decoded whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from label_studio_sam2.errors import TooLarge
from label_studio_sam2.media_files import pictures
from label_studio_sam2.media_files.pictures import (
    ROOM,
    Opened,
    damage,
    header,
    opened,
    orientation,
    turned,
    upright_size,
)
from label_studio_sam2.media_files.pixel_data import UPRIGHT
from label_studio_sam2.media_files.rgb import STRIP_PIXELS, rgb
from label_studio_sam2.media_files.room import Room
from label_studio_sam2.media_files.tiff_blocks import Blocks
from label_studio_sam2.types import Area, Pixels, View

MOST_PIXELS = 1 << 28
"""Of a picture that is read in parts: 16,384 a side. No browser draws a larger one, and a mask of it takes 256 MiB."""

LOOKED_AT = 2048
"""Pixels that the longer side of what is scaled down keeps at least: twice the model's square."""

SMALLEST = 8
"""What a JPEG can be decoded at: an eighth of its size."""

MODES = frozenset({"1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B"})
"""Of TIFFs whose parts have their colours without the rest."""

DECODED_BYTES = 10
"""For a pixel, with the decoder's own."""


@dataclass(frozen=True)
class PictureFile:
    """A picture's file; more than `max_pixels` are never decoded at once. `name` opens the error texts. `keep` is given
    the whole picture where a part of it was wanted, and it had to be decoded."""

    path: Path
    max_pixels: int
    name: str = "The picture"
    room: Room = ROOM
    keep: Callable[[Pixels], None] = lambda _: None

    def view(self, area: Area | None = None) -> View:
        """The upright picture or a part of it. Where the picture is too large to be decoded, what is large is scaled
        down. Raises what `pictures.read` does."""
        with opened(self.path, self.name) as found:
            picture, wrapped, _ = found
            size = upright_size(picture, orientation(picture, wrapped))
            if picture.width * picture.height > self.max_pixels:
                area = area or Area(0, 0, size.width, size.height)
                return View(self._scaled(found, area), area.size)
            pixels = pictures.decoded(found, self.max_pixels, self.name, self.room)
        if area is None:
            return View(pixels, size)
        self.keep(pixels)
        return View(cut(pixels, area), area.size)

    def _scaled(self, found: Opened, area: Area) -> Pixels:
        factor = 1
        while max(area.size) >= 2 * factor * LOOKED_AT:
            factor *= 2
        picture, wrapped, _ = found
        if picture.width * picture.height <= MOST_PIXELS:
            if picture.format == "JPEG" and wrapped and wrapped.scans == 1:
                return self._drafted(found, area, factor)
            if isinstance(picture, TiffImageFile) and picture.mode in MODES:
                return self._assembled(found, area, factor)
        raise TooLarge(
            f"{self.name} has {picture.width} x {picture.height} = {picture.width * picture.height:,} pixels, and "
            f"MAX_IMAGE_PIXELS allows {self.max_pixels:,}. Up to {MOST_PIXELS:,} are read part by part from TIFFs in "
            "tiles and from baseline JPEGs: save it as one of these."
        )

    def _drafted(self, found: Opened, area: Area, factor: int) -> Pixels:
        """Of a JPEG, decoded at as large a part of its size as is allowed and wanted."""
        picture, wrapped, _ = found
        pixels = picture.width * picture.height
        while factor < SMALLEST and pixels > self.max_pixels * factor**2:
            factor *= 2
        factor = min(factor, SMALLEST)
        if pixels > self.max_pixels * factor**2:
            raise TooLarge(
                f"{self.name} has {pixels:,} pixels, and MAX_IMAGE_PIXELS allows {self.max_pixels:,}, which even an "
                "eighth of its width and height exceeds."
            )
        picture.draft(None, (picture.width // factor, picture.height // factor))
        with self.room.taken(DECODED_BYTES * picture.width * picture.height, self.name), damage(self.name):
            turn = orientation(picture, wrapped)
            if turn == UPRIGHT:
                return rgb(picture, _smaller(area, factor))
            return cut(turned(rgb(picture), turn), _smaller(area, factor))

    def _assembled(self, found: Opened, area: Area, factor: int) -> Pixels:
        """Of a TIFF, a few blocks at a time."""
        assert isinstance(found.picture, TiffImageFile)
        with damage(self.name):
            blocks = Blocks.of(found.picture, self.name)
        x0, y0, x1, y1 = area
        across = _step(blocks.block.width, LOOKED_AT, factor)
        down = _step(blocks.block.height, STRIP_PIXELS // across, factor)
        pixels = np.empty((-(-(y1 - y0) // factor), -(-(x1 - x0) // factor), 3), np.uint8)
        for top, left in product(range(y0, y1, down), range(x0, x1, across)):
            few = Area(left, top, min(left + across, x1), min(top + down, y1))
            small = _shrunk(self._block(found, blocks, few), factor)
            row, column = (top - y0) // factor, (left - x0) // factor
            pixels[row : row + small.shape[0], column : column + small.shape[1]] = small
        return pixels

    def _block(self, found: Opened, blocks: Blocks, area: Area) -> Pixels:
        rows, columns = blocks.rows(area.y0, area.y1), blocks.columns(area.x0, area.x1)
        nbytes = DECODED_BYTES * (rows.end - rows.begin) * (columns.end - columns.begin)
        with self.room.taken(nbytes, self.name), damage(self.name):
            content = blocks.part(found.file, rows, columns, self.name)
            with header(content, found.file, self.name) as part:
                x, y = columns.begin, rows.begin
                return rgb(part, Area(area.x0 - x, area.y0 - y, area.x1 - x, area.y1 - y))


def _step(block: int, wanted: int, factor: int) -> int:
    """Whole blocks in about so many pixels, and whole pixels of what is scaled down."""
    step = block * max(1, wanted // block)
    return -(-step // factor) * factor


def _smaller(area: Area, factor: int) -> Area:
    """What of a picture that is so much smaller is the same part."""
    return Area(area.x0 // factor, area.y0 // factor, -(-area.x1 // factor), -(-area.y1 // factor))


def cut(pixels: Pixels, area: Area) -> Pixels:
    return pixels[area.y0 : area.y1, area.x0 : area.x1].copy()


def _shrunk(pixels: Pixels, factor: int) -> Pixels:
    """Each pixel the mean of so many by so many."""
    if factor == 1:
        return pixels
    height, width = (-(-side // factor) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
