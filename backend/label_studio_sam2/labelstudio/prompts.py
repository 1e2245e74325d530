"""What an annotator drew, as prompts: one for each object, first in Label Studio's percent, then in pixels.

Percent become pixels only when the picture is there, for its true size is known only then: `from_regions` first,
`RegionPrompt.scaled` after the picture was fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import clipped, hull, percent_to_pixels, pixels_to_percent, tight_box
from label_studio_sam2.labelstudio.controls import LABELS, TAGS, Control, LabelingConfig, Shape
from label_studio_sam2.labelstudio.values import mask_from_value, number, rectangle_corners, shape_of
from label_studio_sam2.types import Box, PackedMask, Point, Prompt, Size

log = logging.getLogger(__name__)

SLACK = 1.0
"""Percent of the picture that a click may lie outside of it: the editor rounds at the edges."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One region of the request: its shape by its value's keys, and what goes along with it."""

    ids: tuple[str, ...]
    shape: Shape
    value: Mapping[str, Any]
    positive: bool
    labels: tuple[str, ...]
    from_name: str
    to_name: str
    item_index: int | None
    rotation: float
    declared: Size | None

    @property
    def called(self) -> str:
        return f'Region "{self.ids[0]}"' if self.ids else f"A {self.shape} region without id"


@dataclass(frozen=True, slots=True)
class RegionPrompt:
    """One object to find, still in percent: its area (a box or anything that draws a mask), its clicks, or both.

    `labels` are the object's, `control` the tag it was drawn with (None where the config has none of that name),
    `to_name` the object tag, `item_index` the picture of a list, `image_rotation` the editor's turn of the view, which
    does not change coordinates. `ids` are the regions' own, in order.
    """

    to_name: str
    labels: tuple[str, ...] = ()
    control: Control | None = None
    item_index: int | None = None
    image_rotation: float = 0
    area: Drawn | None = None
    clicks: tuple[Drawn, ...] = ()

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        return (self.area, *self.clicks) if self.area else self.clicks

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(id_ for drawn in self.drawn for id_ in drawn.ids)

    def scaled(self, size: Size) -> Prompt:
        """The prompt in pixels of the upright picture. Raises PromptError, which names the region."""
        points: list[Point] = []
        for click in self.clicks:
            with _naming(click):
                points.append(_point(click, size))
        if self.drawn:
            _warn_of_size(self.drawn[0], size)
        if self.area is None:
            return Prompt(tuple(points))
        with _naming(self.area):
            if self.area.shape == "rectangle":
                return Prompt(tuple(points), _box(self.area, size))
            return Prompt(tuple(points), *_mask(self.area, size))


def from_regions(regions: Sequence[Mapping[str, Any]], config: LabelingConfig) -> list[RegionPrompt]:
    """The objects that a request's regions ask for, in the order they were begun.

    All clicks of one label on one picture mean one object; each box or mask is an object. Clicks beside boxes: with
    one box they refine it; with several, each goes to the smallest box that holds it, a negative one outside of all
    boxes to every object, and positive ones outside make an object of their own. Negative clicks alone ask for
    nothing. Regions of a video and items that draw nothing are passed over. Raises PromptError, which names the
    region, for coordinates that are none.
    """
    groups: dict[tuple[Any, ...], list[Drawn]] = {}
    for drawn in _drawn(regions, config):
        groups.setdefault((drawn.to_name, drawn.item_index, drawn.labels), []).append(drawn)
    return [prompt for group in groups.values() for prompt in _objects(group, config)]


def _drawn(regions: Sequence[Mapping[str, Any]], config: LabelingConfig) -> Iterable[Drawn]:
    """Each region once: a separated config sends it a second time for its label, with the same id."""
    by_id: dict[str | int, list[Mapping[str, Any]]] = {}
    for number_, region in enumerate(regions):
        by_id.setdefault(number_ if region.get("id") is None else str(region["id"]), []).append(region)
    for items in by_id.values():
        drawing = next((item for item in items if item.get("type") in TAGS), items[0])
        found = _read(drawing, _labels(items), config)
        if found is not None and found.shape != "videorectangle":
            yield found


def _read(region: Mapping[str, Any], labels: tuple[str, ...], config: LabelingConfig) -> Drawn | None:
    value = region.get("value")
    value = value if isinstance(value, dict) else {}
    ids = () if region.get("id") is None else (str(region["id"]),)
    shape = shape_of(value)
    if shape is None:
        if region.get("type") in TAGS:
            raise PromptError(
                f'Region "{"".join(ids)}" of type {region["type"]} has no coordinates in its value.'
            )
        return None
    drawn = Drawn(
        ids=ids,
        shape=shape,
        value=value,
        positive=bool(region.get("is_positive", value.get("positive", True))),
        labels=labels,
        from_name=str(region.get("from_name")),
        to_name=config.object(region.get("to_name")).name,
        item_index=_item_index(region),
        rotation=_rotation(region),
        declared=_declared(region),
    )
    with _naming(drawn):
        for key in COORDINATES.get(shape, ()):
            number(value, key)
    return drawn


COORDINATES: Mapping[Shape, tuple[str, ...]] = {
    "keypoint": ("x", "y"),
    "rectangle": ("x", "y", "width", "height"),
    "ellipse": ("x", "y", "radiusX", "radiusY"),
}
"""Checked before anything is fetched; longer lists are checked when they are scaled."""


def _labels(items: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The labels of a region, wherever one of its items has them."""
    for item in items:
        value = item.get("value")
        for key in (item.get("type"), LABELS, *TAGS):
            found = value.get(key) if isinstance(value, dict) else None
            if isinstance(found, list) and found:
                return tuple(str(label) for label in found)
    return ()


def _item_index(region: Mapping[str, Any]) -> int | None:
    index = region.get("item_index")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 0):
        raise PromptError(
            f'Region "{region.get("id")}": item_index must be a whole number from 0, not {index!r:.40}.'
        )
    return index


def _rotation(region: Mapping[str, Any]) -> float:
    turn = region.get("image_rotation")
    return turn if isinstance(turn, int | float) else 0


def _declared(region: Mapping[str, Any]) -> Size | None:
    height, width = region.get("original_height"), region.get("original_width")
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        return Size(height, width)
    return None


def _objects(group: list[Drawn], config: LabelingConfig) -> list[RegionPrompt]:
    areas = [drawn for drawn in group if drawn.shape != "keypoint"]
    clicks = [drawn for drawn in group if drawn.shape == "keypoint"]
    shares = [(areas[0] if areas else None, clicks)] if len(areas) < 2 else _shared_out(clicks, areas)
    asking = [(area, own) for area, own in shares if area is not None or any(click.positive for click in own)]
    return [_prompt(area, own, config) for area, own in asking]


def _shared_out(clicks: list[Drawn], areas: list[Drawn]) -> list[tuple[Drawn | None, list[Drawn]]]:
    """Each area with its clicks, and last the clicks that lie outside of all, in the order they were made."""
    homes = [(click, _home(click, areas)) for click in clicks]
    outside = [click for click, home in homes if home is None]
    inside = [
        (area, [click for click, home in homes if home is area or (home is None and not click.positive)])
        for area in areas
    ]
    return [*inside, (None, outside)]


def _home(click: Drawn, areas: list[Drawn]) -> Drawn | None:
    """The smallest area whose box holds the click."""
    x, y = click.value["x"], click.value["y"]
    boxes = [(area, _bounds(area)) for area in areas]
    holding = [(area, box) for area, box in boxes if box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1]
    smallest = min(
        holding, key=lambda held: (held[1].x1 - held[1].x0) * (held[1].y1 - held[1].y0), default=None
    )
    return smallest[0] if smallest else None


def _bounds(area: Drawn) -> Box:
    """The box around an area in percent; of a drawn mask, whose extent only its pixels tell, the whole picture."""
    if area.shape != "rectangle":
        return Box(0, 0, 100, 100)
    size = area.declared or Size(100, 100)
    return hull(pixels_to_percent(rectangle_corners(area.value, size), size))


def _prompt(area: Drawn | None, clicks: list[Drawn], config: LabelingConfig) -> RegionPrompt:
    first = area or clicks[0]
    return RegionPrompt(
        to_name=first.to_name,
        labels=first.labels,
        control=config.controls.get(first.from_name),
        item_index=first.item_index,
        image_rotation=first.rotation,
        area=area,
        clicks=tuple(clicks),
    )


def _point(click: Drawn, size: Size) -> Point:
    x, y = number(click.value, "x"), number(click.value, "y")
    if not (-SLACK <= x <= 100 + SLACK and -SLACK <= y <= 100 + SLACK):
        raise _outside(f"{x:g}% across and {y:g}% down")
    inside = min(max(x, 0.0), 100.0), min(max(y, 0.0), 100.0)
    x, y = percent_to_pixels(inside, size).tolist()
    return Point(x, y, click.positive)


def _box(area: Drawn, size: Size) -> Box:
    """The upright box around a box that may be turned, as far as it lies in the picture."""
    if number(area.value, "width") <= 0 or number(area.value, "height") <= 0:
        raise PromptError("the box has no area. Drag it larger.")
    box = clipped(hull(rectangle_corners(area.value, size)), size)
    if box is None:
        raise _outside("the box")
    return box


def _outside(what: str) -> PromptError:
    return PromptError(
        f"{what} lies outside the picture. Coordinates are percent of its width and height, 0 to 100."
    )


def _mask(area: Drawn, size: Size) -> tuple[Box, PackedMask]:
    bitmap = mask_from_value(area.value, size)
    box = None if bitmap is None else tight_box(bitmap)
    if bitmap is None or box is None:
        raise PromptError("its mask holds no pixel of the picture. Draw it on the picture.")
    return box, PackedMask.of(bitmap)


@contextmanager
def _naming(drawn: Drawn) -> Iterator[None]:
    """Errors inside begin with the region's name."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f"{drawn.called}: {error.detail}") from error


def _warn_of_size(drawn: Drawn, size: Size) -> None:
    """Percent hold whatever the size, so the prompt is used; but the picture may be another than was shown."""
    if drawn.declared not in {None, size}:
        log.warning("%s was drawn on a picture of %s, the picture has %s", drawn.called, drawn.declared, size)
