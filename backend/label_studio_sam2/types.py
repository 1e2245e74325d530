"""The values that both halves speak: pixels of the upright image, nothing of the wire, nothing of torch.

Axes: points and boxes are (x, y); arrays are (row, column), that is (H, W). The origin is the top-left corner
of the top-left pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

Bitmap = NDArray[np.bool_]
"""(H, W), True where the object is."""


class Size(NamedTuple):
    """Height and width in pixels."""

    height: int
    width: int


class Box(NamedTuple):
    """An upright box in pixels; x1 and y1 are exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float


class Area(NamedTuple):
    """A part of a picture in whole pixels; x1 and y1 are exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def size(self) -> Size:
        return Size(self.y1 - self.y0, self.x1 - self.x0)


class View(NamedTuple):
    """Pixels, scaled down or not, of what has this size."""

    pixels: Pixels
    size: Size


class Point(NamedTuple):
    """A click in pixels; a negative one says "not this"."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one object is asked for with. Hashable, so that it can be the key of what was decoded from it.

    `points` are in the order they were clicked. `mask` is a mask of the object from elsewhere: given over the
    API, or standing in a video's keyframe.
    """

    points: tuple[Point, ...] = ()
    box: Box | None = None
    mask: PackedMask | None = None

    def __post_init__(self) -> None:
        if not self.points and self.box is None and self.mask is None:
            raise ValueError("a prompt needs at least a point, a box or a mask")

    @property
    def ambiguous(self) -> bool:
        """One click alone can mean the whole, the part or the subpart (Segment Anything, section 3)."""
        return len(self.points) == 1 and self.box is None and self.mask is None

    @property
    def previous(self) -> Prompt | None:
        """The prompt that this one extends by a click, or None where it is the first of its kind."""
        if not self.points or self.ambiguous:
            return None
        return Prompt(self.points[:-1], self.box, self.mask)


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A bitmap as a hashable value: its size and its rows of bits as `numpy.packbits` writes them."""

    size: Size
    bits: bytes

    @classmethod
    def of(cls, bitmap: Bitmap) -> PackedMask:
        return cls(Size(*bitmap.shape), np.packbits(bitmap, axis=None).tobytes())

    def bitmap(self) -> Bitmap:
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.size.height * self.size.width)
        return flat.reshape(self.size).astype(np.bool_)


Zoom = Literal["true", "false", "auto"]
"""Whether a second look is taken at a window around what is asked for: always, never, or where it pays."""

CLEAR_LEAD = 0.15
"""Of predicted IoU, by which one reading of a click leads clearly."""


@dataclass(frozen=True, slots=True)
class Mask:
    """An object's mask at the picture's own size; `score` is the model's estimate of its IoU (0 to 1).

    `stability` is the IoU of the mask with itself at a higher and a lower cutoff, `lead` by how much it is rated above
    another reading of the same prompt; 1 where there is none.
    """

    bitmap: Bitmap
    score: float
    stability: float = 1.0
    lead: float = 1.0

    @property
    def trust(self) -> float:
        """From 0 to 1: the lower, the sooner somebody should look at it."""
        return self.score * self.stability * (1 + min(1.0, self.lead / CLEAR_LEAD)) / 2


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by the hash of its file's bytes; `load` decodes it only when it has to be encoded.

    `note` tells the annotator in a sentence what the picture lacks; empty where it is whole. `view` is given where the
    picture, or a part of it, may have to be scaled down to be decoded.
    """

    digest: str
    load: Callable[[], Pixels]
    note: str = ""
    view: Callable[[Area | None], View] | None = None

    def viewed(self, area: Area | None = None) -> View:
        """The picture, or a part of it, decoded."""
        if self.view:
            return self.view(area)
        pixels = self.load()
        x0, y0, x1, y1 = area or (0, 0, *pixels.shape[1::-1])
        return View(pixels[y0:y1, x0:x1].copy() if area else pixels, Size(y1 - y0, x1 - x0))

    def part(self, area: Area) -> Picture:
        """As a picture of its own."""
        name = f"{self.digest}+{','.join(map(str, area))}"
        return Picture(name, lambda: self.viewed(area).pixels, self.note, lambda _: self.viewed(area))


@dataclass(frozen=True, slots=True)
class FrameMask:
    """One object on one frame of a video. `frame` counts the source's frames from 0 in presentation order.

    `present` is the object score's verdict; where it is False the bitmap is empty. `score` is the probability
    that the object is visible, `iou` what the model thinks of the mask (both 0 to 1).
    """

    frame: int
    object_id: str
    bitmap: Bitmap
    present: bool
    score: float
    iou: float = 1.0
