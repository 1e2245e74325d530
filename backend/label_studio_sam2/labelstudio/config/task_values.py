"""What a tag's `value` stands for in a task's data, as the editor reads it (`parseValue` of Label Studio 1.23.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

VARIABLE = re.compile(r"\$[\w[\].{}]+", re.ASCII)
STEP = re.compile(r"[^.[\]]+")


def value_of(text: str, data: Mapping[str, Any]) -> Any:
    """`$name` is whatever the data has there, `$pages[1].url` what lies deeper; in a longer text every such name is
    replaced, and a text without any stands for itself. None where the data lacks it."""
    if text.startswith("$") and text[1:] in data:
        return data[text[1:]]
    if VARIABLE.fullmatch(text):
        return _at(text, data)
    texts = {name: _text(_at(name, data)) for name in VARIABLE.findall(text)}
    if None in texts.values():
        return None
    return VARIABLE.sub(lambda name: texts[name.group()] or "", text)


def _at(variable: str, data: Mapping[str, Any]) -> Any:
    """By the key itself, or else by the path that it spells."""
    key = variable[1:]
    if key in data:
        return data[key]
    found: Any = data
    for step in STEP.findall(key):
        found = _inside(found, step)
    return found


def _inside(found: Any, step: str) -> Any:
    if isinstance(found, Mapping):
        return found.get(step)
    if isinstance(found, list) and step.isascii() and step.isdecimal() and int(step[:9]) < len(found):
        return found[int(step)] if len(step) < 9 else None
    return None


def _text(found: Any) -> str | None:
    """As a text of which it becomes a part."""
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    return str(found) if isinstance(found, str | int | float) and not isinstance(found, bool) else None
