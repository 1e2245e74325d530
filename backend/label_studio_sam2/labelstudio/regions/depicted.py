"""What an annotation holds of pictures: each region once, however many items tell of it.

The editor saves a region with a separate Labels tag as two items of one id, and an accepted one a second time under
its prompt's type. JSON_MIN has no ids: there, what was drawn alike by two tags is one region.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any

import orjson

from label_studio_sam2.labelstudio.config.controls import TAGS, Shape
from label_studio_sam2.labelstudio.regions.drawn import declared_size, known_type, labels_of
from label_studio_sam2.labelstudio.regions.existing import DETAIL
from label_studio_sam2.labelstudio.regions.values import shape_of
from label_studio_sam2.types import Size

GEOMETRY = frozenset(
    {"rle", "imageDataURL", "maskDataURL", "points", "vertices"}
    | {"x", "y", "width", "height", "radiusX", "radiusY", "rotation"}
)
"""The keys of a value that draw something."""

CROWD = frozenset({"crowd", "iscrowd"})
"""What a region's note in the Info panel, or a choice for it, says of a crowd (COCO's `iscrowd`)."""

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Depicted:
    """A region on a picture, its value still in percent; `controls` are the tags that drew it, `parent` the region
    that it was put below in the editor's list."""

    id: str
    shape: Shape
    value: Mapping[str, Any]
    labels: tuple[str, ...]
    controls: frozenset[str]
    to_name: str
    item_index: int | None
    declared: Size | None
    score: float | None
    crowd: bool
    positive: bool
    parent: str | None

    @property
    def detail(self) -> int:
        """How much of an object its shape tells."""
        return DETAIL.get(self.shape, 0)


def depicted_in(result: Iterable[Item]) -> list[Depicted]:
    """In their order; regions of videos, and items that draw nothing, are passed over."""
    groups: dict[str, list[Item]] = {}
    times: Counter[str] = Counter()
    for item in result:
        groups.setdefault(_name(item, times), []).append(item)
    found = (_depicted(name, items) for name, items in groups.items())
    return [one for one in found if one is not None]


def _name(item: Item, times: Counter[str]) -> str:
    """Its id; where it has none, what it draws, and how often its tag drew just that before."""
    if isinstance(item.get("id"), str | int | float):
        return f"{item['id']}"
    value = item.get("value")
    drawn = {key: value[key] for key in GEOMETRY if key in value} if isinstance(value, dict) else item
    written = orjson.dumps(drawn, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS)
    digest = blake2b(written, digest_size=6).hexdigest()
    times[by_tag := f"{item.get('from_name')} {digest}"] += 1
    return f"without id {digest}-{times[by_tag]}"


def _depicted(name: str, items: Sequence[Item]) -> Depicted | None:
    drawing = [item for item in items if _detail(item) is not None]
    if not drawing:
        return None
    item = max(drawing, key=lambda one: _detail(one) or 0)
    value = item["value"]
    shape = shape_of(value)
    assert shape is not None
    drawing_types = {tag.region_type for tag in TAGS.values() if tag.shape == shape}
    index, score = item.get("item_index"), _first(items, "score")
    return Depicted(
        id=name,
        shape=shape,
        value=value,
        labels=labels_of(items),
        controls=frozenset(str(one.get("from_name")) for one in items if _type(one) in drawing_types)
        or frozenset({str(item.get("from_name"))}),
        to_name=item["to_name"] if isinstance(item.get("to_name"), str) else "",
        item_index=index if isinstance(index, int) and not isinstance(index, bool) and index >= 0 else None,
        declared=declared_size(item) or declared_size(value),
        score=float(score) if isinstance(score, int | float) and not isinstance(score, bool) else None,
        crowd=any(text.strip().casefold() in CROWD for text in chain.from_iterable(map(_notes, items))),
        positive=item.get("is_positive") is not False,
        parent=str(parent) if (parent := _first(items, "parentID")) is not None else None,
    )


def _type(item: Item) -> str:
    """The type of an item, which JSON_MIN writes into its value as its tag's name."""
    value = item.get("value")
    return known_type(item) or (known_type(value).lower() if isinstance(value, dict) else "")


def _detail(item: Item) -> int | None:
    """None for what is no shape on a picture."""
    value = item.get("value")
    return DETAIL.get(shape_of(value)) if isinstance(value, dict) else None


def _first(items: Sequence[Item], key: str) -> Any:
    return next((item[key] for item in items if item.get(key) is not None), None)


def _notes(item: Item) -> list[str]:
    meta, value = item.get("meta"), item.get("value")
    said = (
        meta.get("text") if isinstance(meta, dict) else None,
        value.get("choices") if isinstance(value, dict) else None,
    )
    texts = chain.from_iterable(one if isinstance(one, list) else [one] for one in said)
    return [text for text in texts if isinstance(text, str)]
