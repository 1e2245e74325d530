"""The names under which Label Studio keeps uploaded files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

PREFIX = 9
"""Characters that Label Studio puts before an uploaded file's name: eight random ones and a hyphen."""


def stored_name(name: str) -> str:
    """As Label Studio stores a file's name, after its own prefix."""
    return re.sub(r"[^-\w.]", "", name.strip().replace(" ", "_"))


def without_prefix(path: str) -> str:
    """The name under which a file was uploaded, of its path in Label Studio."""
    return PurePosixPath(path).name[PREFIX:]
