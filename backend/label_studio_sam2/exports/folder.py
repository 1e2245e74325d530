"""The folder that an export becomes, and the names of what is in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, urlsplit

from label_studio_sam2.errors import RequestError

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""

LONGEST = 180
"""Bytes of a file's name without its suffix and numbers; file systems take 255."""


def empty(out: Path) -> Path:
    """Raises RequestError where it holds something."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} isn't an empty folder. Give a new one, so that nothing gets mixed up.")
    out.mkdir(parents=True, exist_ok=True)
    return out


def clear(out: Path) -> None:
    """It was empty when writing began."""
    shutil.rmtree(out)
    out.mkdir()


def media_name(address: str) -> str:
    """The file's name in a task's address, also of a local file's (`?d=folder/name`); empty where it has none."""
    if address[:5].lower() == "data:":
        return ""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d", [""])[0] if "/data/local-files" in parts.path else ""
    return PurePosixPath(local or parts.path).name


def without_upload_prefix(name: str) -> str:
    return UPLOAD_PREFIX.sub("", name)


def free_name(name: str, numbers: Sequence[int | None], taken: set[str]) -> str:
    """A name for a medium's files that no other has: its own without suffix, with as many of the task's and the
    annotation's numbers as that takes."""
    stem = re.sub(r"[^\w.-]+", "_", PurePosixPath(name).stem).strip("._") or f"task-{numbers[0]}"
    stem = stem.encode()[:LONGEST].decode(errors="ignore")
    wishes = ["-".join(map(str, (stem, *numbers[:count]))) for count in range(len(numbers) + 1)]
    wishes += (f"{wishes[-1]}-{place}" for place in range(2, len(taken) + 3))
    free = next(wish for wish in wishes if wish.lower() not in taken)
    taken.add(free.lower())
    return free
