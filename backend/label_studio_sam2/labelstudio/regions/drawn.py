"""What the regions of a request draw: shapes, still in Label Studio's percent, each with what goes along with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from label_studio_sam2.errors import PromptError, RequestError
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.config.controls import LABELS, TAGS, LabelingConfig, Shape
from label_studio_sam2.labelstudio.regions.values import in_words, number, rotation, shape_of
from label_studio_sam2.types import Size

LABEL_KEYS = (*(tag.region_type for tag in TAGS.values() if tag.labelled), LABELS)
"""What labels are called in a value. Choices, texts and ratings of a region stand beside them and are none."""

LONGEST_SIDE = 1 << 24
"""Of a picture: what declares more is damaged."""

Item = TypeVar("Item")
Found = TypeVar("Found")


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
        return f'Region "{self.ids[0]:.40}"' if self.ids else f"A {self.shape} region without id"


def each_alone(
    read: Callable[[Item], Found], items: Iterable[Item]
) -> tuple[list[Found], list[RequestError]]:
    """What `read` makes of each item, and the errors of those that it can't read: they don't take the others along."""
    found: list[Found] = []
    left_out: list[RequestError] = []
    for item in items:
        try:
            found.append(read(item))
        except RequestError as error:
            left_out.append(error)
    return found, left_out


def drawn_in(regions: Sequence[Any], config: LabelingConfig) -> tuple[list[Drawn], list[RequestError]]:
    """Each region once, whatever it draws on a picture, and the errors of those that can't be read."""
    read, left_out = each_alone(lambda items: _drawn(items, config), by_id(regions))
    return [drawn for drawn in read if drawn is not None and drawn.shape != "videorectangle"], left_out


def by_id(regions: Sequence[Any]) -> list[list[Region]]:
    """Items of one region together: a separated config sends it a second time for its label, with the same id."""
    groups: dict[str | int, list[Region]] = {}
    for place, region in enumerate(regions):
        if region is not None:
            groups.setdefault("".join(_ids(region)) or place, []).append(region)
    return list(groups.values())


def _drawn(items: Sequence[Any], config: LabelingConfig) -> Drawn | None:
    """None for what draws nothing. Raises PromptError."""
    if not isinstance(items[0], dict):
        raise PromptError(f"An item of the result is no region, but {in_words(items[0])}.")
    drawing = next((item for item in items if known_type(item) in TAGS), items[0])
    return _read(drawing, labels_of(items), config)


def known_type(item: Mapping[str, Any]) -> str:
    """The `type` of an item; empty where it is no text."""
    found = item.get("type")
    return found if isinstance(found, str) else ""


def _ids(item: Any) -> tuple[str, ...]:
    found = item.get("id") if isinstance(item, dict) else None
    return (str(found),) if isinstance(found, str | int | float) else ()


def _read(region: Mapping[str, Any], labels: tuple[str, ...], config: LabelingConfig) -> Drawn | None:
    value = region.get("value")
    value = value if isinstance(value, dict) else {}
    shape, ids = shape_of(value), _ids(region)
    if shape is None:
        if known_type(region) in TAGS:
            raise PromptError(
                f'Region "{"".join(ids):.40}" of type {known_type(region)} has no coordinates in its value.'
            )
        return None
    drawn = Drawn(
        ids=ids,
        shape=shape,
        value=value,
        positive=_positive(region, value),
        labels=labels,
        from_name=str(region.get("from_name")) if isinstance(region.get("from_name"), str) else "",
        to_name=config.object(region.get("to_name")).name,
        item_index=_item_index(region),
        rotation=_rotation(region),
        declared=declared_size(region),
    )
    with naming(drawn):
        for key in COORDINATES.get(shape, ()):
            number(value, key)
        rotation(value)
    return drawn


COORDINATES: Mapping[Shape, tuple[str, ...]] = {
    "keypoint": ("x", "y"),
    "rectangle": ("x", "y", "width", "height"),
    "ellipse": ("x", "y", "radiusX", "radiusY"),
}
"""Checked before anything is fetched; longer lists are checked when they are scaled."""


def _positive(region: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """A click is negative only where it says so."""
    said = (region.get("is_positive"), value.get("positive"))
    return bool(next((sign for sign in said if sign is not None), True))


def labels_of(items: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The labels of a region, wherever one of its items has them."""
    for item in items:
        value = item.get("value")
        for key in (known_type(item), *LABEL_KEYS):
            found = value.get(key) if isinstance(value, dict) and key in LABEL_KEYS else None
            texts = [label for label in found if isinstance(label, str)] if isinstance(found, list) else []
            if texts:
                return tuple(texts)
    return ()


def _item_index(region: Mapping[str, Any]) -> int | None:
    index = region.get("item_index")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 0):
        raise PromptError(
            f'Region "{"".join(_ids(region)):.40}": item_index must be a whole number from 0, not {in_words(index)}.'
        )
    return index


def _rotation(region: Mapping[str, Any]) -> float:
    turn = region.get("image_rotation")
    return turn if isinstance(turn, int | float) else 0


def declared_size(region: Mapping[str, Any]) -> Size | None:
    """The picture's, as a region says it was; None where it doesn't."""
    height, width = region.get("original_height"), region.get("original_width")
    if isinstance(height, int) and isinstance(width, int):
        return Size(height, width) if 0 < height < LONGEST_SIDE and 0 < width < LONGEST_SIDE else None
    return None


@contextmanager
def naming(drawn: Drawn) -> Iterator[None]:
    """Errors inside begin with the region's name."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f"{drawn.called}: {error.detail}") from error
