"""One tuned version: what was said of it, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from label_studio_sam2.engine.tuning.whole_files import read_json
from label_studio_sam2.errors import UnknownVersion, brief

FORMAT = 1
"""Of what is stored; raised by a release whose decoders an older one can't read, or that can't read an older one's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a version goes live, and why in a sentence; `figures` are ready for JSON."""

    accepted: bool
    reason: str
    figures: dict[str, Any]


@dataclass(frozen=True)
class Version:
    """A tuned version's lineage. `base` and `base_hash` are the checkpoint's, `sha256` the decoder file's; `counts`
    and `figures` say what it was tuned and measured on; `reason` says in a sentence why it is used, or isn't. `labels`
    have decoders of their own, in this order."""

    project: int
    number: int
    base: str
    base_hash: str
    sha256: str
    accepted: bool
    reason: str
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    counts: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    mark: str = ""
    labels: Sequence[str] = ()

    @property
    def name(self) -> str:
        """As it stands in `model_version`: with a mark by its content, so that of two folders' versions of one number
        each has its own; those of earlier releases have none."""
        return f"project{self.project}.v{self.number}" + (f"-{self.mark}" if self.mark else "")


def read_version(path: Path) -> Version | None:
    """None where there is none, or it is damaged, or of another release's format."""
    content = read_json(path)
    if foreign_format(content) is not None:
        return None
    try:
        return Version(**content)
    except TypeError:
        return None


def known_version(path: Path, project: int, number: int) -> Version:
    """Raises UnknownVersion, which says why there is none."""
    version = read_version(path)
    if version is not None:
        return version
    if (found := foreign_format(read_json(path))) is not None:
        raise UnknownVersion(
            f"Version {number} of project {project} was stored in format {brief(str(found), 20)} by another release, "
            f"and this one reads format {FORMAT}. Tune the project again, or go back to that release."
        )
    raise UnknownVersion(f"Project {project} has no version {number}; `versions list` shows what there is.")


def foreign_format(content: Any) -> object | None:
    """The format of what another release stored, where this one can't read it; what names none is of the first."""
    found = content.get("format", 1) if isinstance(content, dict) else FORMAT
    return None if found == FORMAT else found
