"""What is wrong with a labeling config, in a sentence with its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

MOST_LISTED = 10
"""Names in one sentence."""


class Problem(NamedTuple):
    """Something wrong with a labeling config: what, what to do about it, and whether it keeps masks from appearing."""

    sentence: str
    remedy: str
    severity: Literal["error", "warning"]


def listed(names: Iterable[str]) -> str:
    """Some of them, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - MOST_LISTED} more" if len(every) > MOST_LISTED else ""
    return ", ".join(every[:MOST_LISTED]) + more
