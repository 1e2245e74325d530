"""A TextArea tag: in Label Studio 1.23.2 what is added to one is sent like a click, where Auto-Annotation is on."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = "textarea"
"""The tag, and the type of its items."""


@dataclass(frozen=True, slots=True)
class TextField:
    """`asks`: what is added is sent; not where the field belongs to each region, or says smart="false"."""

    name: str
    to_names: tuple[str, ...]
    asks: bool = True
