"""The XML of a labeling config: read within bounds, and with its Repeaters written out for a task, as the editor does.

A Repeater shows its tags once for each item of a list in the task's data, and puts the item's number in place of
`{{idx}}`, or of what its `indexFlag` says (`tagIntoObject` of Label Studio 1.23.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser, tostring

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config.task_values import value_of

LONGEST = 2 << 20
"""Characters of a config; a label takes some thirty."""

MOST_ELEMENTS = 50_000
"""Of all kinds, labels included."""

MOST_NAMED = 5_000
"""Tags with a name, which draw or show something: reading so many takes a second."""

DEEPEST = 100
"""Tags inside each other."""

REPEATER = "repeater"
INDEX = "{{idx}}"

SPELLED = {
    name.lower(): name for name in ("name", "toName", "value", "valueList", "alias", "on", "indexFlag")
}
"""Attributes that are read by their names; the editor ignores their capitals."""

Numbers = tuple[tuple[str, int], ...]
"""Flags, each with the number that is put in its place where it stands first."""


def read(text: str) -> Element:
    """The config's elements, without comments and instructions. Raises LabelConfigError."""
    if len(text) > LONGEST:
        raise _too_large(f"{len(text)} characters", LONGEST)
    parser = XMLParser(target=Bounded())  # noqa: S314  (no DTD is let through, so there are no entities)
    try:
        parser.feed(text)
        root: Element = parser.close()
    except (ParseError, UnicodeEncodeError) as error:
        raise LabelConfigError(
            f"The labeling config is not valid XML: {error}. Correct it under Settings, Labeling Interface."
        ) from error
    return root


def repeaters(root: Element) -> list[Element]:
    return [element for element in root.iter() if element.tag.lower() == REPEATER]


def index_of(attributes: Mapping[str, str]) -> str:
    """What stands for the item's number in a Repeater with these attributes."""
    return attributes.get("indexFlag") or INDEX


def written_out(text: str, data: Mapping[str, Any]) -> str:
    """The config that the editor makes of this one for a task. Raises LabelConfigError where it becomes too large."""
    made = Bounded()
    _write(read(text), data, (), (), made)
    return tostring(made.close(), encoding="unicode")


class Bounded(TreeBuilder):
    """Builds elements, and raises LabelConfigError as soon as there are too many of them."""

    def __init__(self) -> None:
        super().__init__()
        self._elements, self._named, self._depth = 0, 0, 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> Element:
        spelled = {SPELLED.get(key.lower(), key): value for key, value in attrs.items()}
        self._elements, self._depth = self._elements + 1, self._depth + 1
        self._named += "name" in spelled
        if self._elements > MOST_ELEMENTS:
            raise _too_large("too many tags and labels", MOST_ELEMENTS)
        if self._named > MOST_NAMED:
            raise _too_large("too many tags with a name", MOST_NAMED)
        if self._depth > DEEPEST:
            raise _too_large("too many tags inside each other", DEEPEST)
        return super().start(tag, spelled)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, *_: object) -> None:
        """Entities that a DTD defines could make a small config huge."""
        raise LabelConfigError("The labeling config has a DTD, which isn't read. Take <!DOCTYPE> out of it.")


def _too_large(what: str, most: int) -> LabelConfigError:
    return LabelConfigError(
        f"The labeling config has {what}: at most {most} are read. Take out what isn't used, or spread it over several "
        "projects."
    )


def _write(
    element: Element, data: Mapping[str, Any], everywhere: Numbers, here: Numbers, made: Bounded
) -> None:
    """Writes an element with its Repeaters written out. Numbers count `everywhere` inside, or in its own attributes
    alone: the editor puts them once into all that a Repeater holds, and once more into what stands directly in it."""
    attributes = {name: _put(everywhere + here, text) for name, text in element.attrib.items()}
    if element.tag.lower() != REPEATER:
        made.start(element.tag, attributes)
        made.data(element.text or "")
        for child in element:
            _write(child, data, everywhere, (), made)
        made.end(element.tag)
        return
    shown, flag = value_of(attributes.get("on", ""), data), index_of(attributes)
    made.start("View", {})
    for number in range(len(shown) if isinstance(shown, list | str) else 0):
        made.start("View", {})
        for child in element:
            _write(child, data, (*everywhere, (flag, number)), (*here, (flag, number)), made)
        made.end("View")
    made.end("View")


def _put(numbers: Numbers, text: str) -> str:
    for flag, number in numbers:
        text = text.replace(flag, str(number), 1)
    return text
