"""The labels of a labeling config as numbered categories."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from xml.etree.ElementTree import Element

from label_studio_sam2.labelstudio.config import config_xml
from label_studio_sam2.labelstudio.config.controls import LABELS, TAGS


def categories(label_config: str) -> dict[str, int]:
    """Each label of a tag that draws or names regions, in the order in which they stand in the config: by the number
    in its `category`, or else by the next from 1 on that no other has. Raises LabelConfigError."""
    labels: dict[str, int | None] = {}
    for label in _labels(config_xml.read(label_config)):
        name = label.get("alias") or label.get("value")
        if name and labels.get(name) is None:
            labels[name] = _number(label.get("category"), labels)
    given = set(labels.values())
    free = (number for number in count(1) if number not in given)
    return {name: next(free) if number is None else number for name, number in labels.items()}


def _labels(root: Element) -> Iterator[Element]:
    for tag in root.iter():
        if tag.tag.lower() in {LABELS, *TAGS}:
            yield from (child for child in tag.iter() if child.tag.lower() == "label")


def _number(text: str | None, labels: dict[str, int | None]) -> int | None:
    """None where it is no whole number, or another label has it."""
    number = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None
    return None if number in labels.values() else number
