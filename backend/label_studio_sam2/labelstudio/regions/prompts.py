"""What an annotator drew, as prompts: one for each object, first in Label Studio's percent, then in pixels.

Percent become pixels only when the picture is there, for its true size is known only then: `from_regions` first,
`RegionPrompt.scaled` after the picture was fetched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from label_studio_sam2.errors import LabelConfigError, PromptError, RequestError
from label_studio_sam2.geometry import clipped, hull, percent_to_pixels, pixels_to_percent, tight_box
from label_studio_sam2.labelstudio.config.controls import (
    Control,
    LabelingConfig,
    LabelsTag,
    ObjectTag,
)
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.regions.drawn import Drawn, drawn_in, each_alone, naming
from label_studio_sam2.labelstudio.regions.values import mask_from_value, number, rectangle_corners
from label_studio_sam2.types import Box, PackedMask, Point, Prompt, Size

log = logging.getLogger(__name__)

SLACK = 1.0
"""Percent of the picture that a click may lie outside of it: the editor rounds at the edges."""


@dataclass(frozen=True, slots=True)
class RegionPrompt:
    """One object to find, still in percent: its area (a box or anything that draws a mask), its clicks, or both.

    It is drawn on the object tag `on`, of a list on the picture `item_index`, and is answered on `outputs`, named by
    `labels_tag` where they hold no labels, as the `options` of its object say. `labels` are the object's;
    `image_rotation` is the editor's turn of the view, which does not change coordinates. `ids` are the regions' own,
    in order.
    """

    on: ObjectTag
    outputs: tuple[Control, ...]
    options: Options
    labels_tag: LabelsTag | None = None
    labels: tuple[str, ...] = ()
    item_index: int | None = None
    image_rotation: float = 0
    area: Drawn | None = None
    clicks: tuple[Drawn, ...] = ()

    @classmethod
    def answerable(
        cls,
        config: LabelingConfig,
        on: ObjectTag,
        *,
        labels: tuple[str, ...] = (),
        control: Control | None = None,
        **drawn: Any,
    ) -> RegionPrompt:
        """Of what was drawn with `control`, which is not answered itself where another tag can be. Raises
        LabelConfigError where the config has no tag that can show a mask."""
        outputs = config.outputs(on.name, control, labels)
        if not outputs:
            raise LabelConfigError(
                f'No tag can show a mask on "{on.name}". Add one to the labeling config, for example '
                f'<BrushLabels name="brush" toName="{on.name}" smart="false">, with the same labels.'
            )
        named = config.labels_tag(on.name, labels)
        return cls(on, outputs, config.options(on.name), named, labels, **drawn)

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        return (self.area, *self.clicks) if self.area else self.clicks

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(id_ for drawn in self.drawn for id_ in drawn.ids)

    @property
    def asks(self) -> bool:
        """Whether it says where the object is, and not only where it isn't."""
        return self.area is not None or any(click.positive for click in self.clicks)

    def scaled(self, size: Size) -> Scaled:
        """The prompt in pixels of the upright picture, of what can be used. Raises PromptError, which names the
        region, where that asks for nothing."""
        if self.drawn:
            _warn_of_size(self.drawn[0], size)
        areas, no_areas = each_alone(
            lambda area: _area(area, size), () if self.area is None else (self.area,)
        )
        points, no_points = each_alone(lambda click: _point(click, size), self.clicks)
        left_out = [*no_areas, *no_points]
        if left_out and not areas and not any(point.positive for point in points):
            raise left_out[0]
        return Scaled(Prompt(tuple(points), *(areas[0] if areas else ())), left_out)


class Scaled(NamedTuple):
    """A prompt in pixels, and the errors of those of its regions that it does without."""

    prompt: Prompt
    left_out: list[RequestError]


class Asked(NamedTuple):
    """The objects that regions ask for, and the errors of regions that couldn't be read, which ask for nothing."""

    prompts: list[RegionPrompt]
    left_out: list[RequestError]


def in_pixels(
    prompts: Sequence[RegionPrompt], size: Size
) -> tuple[list[tuple[RegionPrompt, Prompt]], list[RequestError]]:
    """Each prompt of a picture beside itself in pixels, and the errors of what can't be used of them."""
    scaled, left_out = each_alone(lambda prompt: (prompt, prompt.scaled(size)), prompts)
    parts = [error for _, one in scaled for error in one.left_out]
    return [(prompt, one.prompt) for prompt, one in scaled], [*left_out, *parts]


def from_regions(regions: Sequence[Any], config: LabelingConfig, *, corrections: bool = False) -> Asked:
    """The objects that a request's regions ask for, in the order they were begun.

    All clicks of one label on one picture mean one object; each box or mask is an object. Clicks beside boxes: with
    one box they refine it; with several, each goes to the smallest box that holds it, a negative one outside of all
    boxes to every object, and positive ones outside make an object of their own. Negative clicks alone ask for
    nothing, and are a prompt only where they may be `corrections` of what another picture asks for. Regions of a video
    and items that draw nothing are passed over; what can't be read is left out. Where that is all there is, its error
    is raised: PromptError, which names the region, for coordinates that are none, and LabelConfigError where nothing
    can show a mask.
    """
    read, left_out = drawn_in(regions, config)
    groups: dict[tuple[Any, ...], list[Drawn]] = {}
    for drawn in read:
        groups.setdefault((drawn.to_name, drawn.item_index, drawn.labels), []).append(drawn)
    found, unanswerable = each_alone(lambda group: _objects(group, config, corrections), groups.values())
    prompts, left_out = [prompt for group in found for prompt in group], [*left_out, *unanswerable]
    if left_out and not prompts:
        raise left_out[0]
    return Asked(prompts, left_out)


def _objects(group: list[Drawn], config: LabelingConfig, corrections: bool) -> list[RegionPrompt]:
    areas = [drawn for drawn in group if drawn.shape != "keypoint"]
    clicks = [drawn for drawn in group if drawn.shape == "keypoint"]
    shares = [(areas[0] if areas else None, clicks)] if len(areas) < 2 else _shared_out(clicks, areas)
    alone = corrections and not areas
    asking = [
        (area, own)
        for area, own in shares
        if area is not None or any(click.positive for click in own) or (own and alone)
    ]
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
    boxes = [(area, bounds(area)) for area in areas]
    holding = [(area, box) for area, box in boxes if box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1]
    smallest = min(
        holding, key=lambda held: (held[1].x1 - held[1].x0) * (held[1].y1 - held[1].y0), default=None
    )
    return smallest[0] if smallest else None


def bounds(area: Drawn) -> Box:
    """The box around an area in percent; of a drawn mask, whose extent only its pixels tell, the whole picture."""
    if area.shape != "rectangle":
        return Box(0, 0, 100, 100)
    size = area.declared or Size(100, 100)
    return hull(pixels_to_percent(rectangle_corners(area.value, size), size))


def _prompt(area: Drawn | None, clicks: list[Drawn], config: LabelingConfig) -> RegionPrompt:
    first = area or clicks[0]
    return RegionPrompt.answerable(
        config,
        config.object(first.to_name),
        labels=first.labels,
        control=config.controls.get(first.from_name),
        item_index=first.item_index,
        image_rotation=first.rotation,
        area=area,
        clicks=tuple(clicks),
    )


def _point(click: Drawn, size: Size) -> Point:
    with naming(click):
        x, y = number(click.value, "x"), number(click.value, "y")
        if not (-SLACK <= x <= 100 + SLACK and -SLACK <= y <= 100 + SLACK):
            raise _outside(f"{x:g}% across and {y:g}% down")
    inside = min(max(x, 0.0), 100.0), min(max(y, 0.0), 100.0)
    x, y = percent_to_pixels(inside, size).tolist()
    return Point(x, y, click.positive)


def _area(area: Drawn, size: Size) -> tuple[Box, PackedMask | None]:
    with naming(area):
        return (_box(area, size), None) if area.shape == "rectangle" else _mask(area, size)


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


def _warn_of_size(drawn: Drawn, size: Size) -> None:
    """Percent hold whatever the size, so the prompt is used; but the picture may be another than was shown."""
    if drawn.declared not in {None, size}:
        log.warning("%s was drawn on a picture of %s, the picture has %s", drawn.called, drawn.declared, size)
