"""Files that appear whole or not at all, and locks, for processes that share a folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from label_studio_sam2.errors import Busy, CheckpointError

PART = ".part"
"""The end of a name while its file is being written."""


def write(path: Path, content: bytes) -> None:
    """Whole or not at all, even where the machine stops in the middle. Raises CheckpointError."""
    part = path.with_name(f"{path.name}.{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def read_json(path: Path) -> Any:
    """None where there is none, or it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


@contextmanager
def locked(path: Path, how: int, busy: str) -> Iterator[None]:
    """While a block runs, nobody else holds this lock (`how` as fcntl.flock has it). Raises Busy with this sentence,
    where it isn't waited for, and CheckpointError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    with lock:
        try:
            fcntl.flock(lock, how)
        except OSError as error:
            raise Busy(busy) from error
        yield


def _unwritable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"{path} can't be written ({error.strerror}). Set MODEL_CACHE to a writable folder with space left."
    )
