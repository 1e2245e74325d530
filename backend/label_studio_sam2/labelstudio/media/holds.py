"""Files that somebody needs: a lock on each, which every process sees and which ends with whoever held it."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from pathlib import Path

NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Of a file system without them: an open file outlives its name there, but its name is given up."""


class Hold:
    """Keeps a file from being given up for as long as anybody refers to this."""

    __slots__ = ("__weakref__",)

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError where the file is gone, OSError where it can't be opened."""
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        weakref.finalize(self, os.close, handle)
        _lock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink == 0:
            raise FileNotFoundError(path)


def give_up(path: Path) -> bool:
    """Removes a file unless somebody holds it; whether it is gone now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        _lock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:  # else another one has taken its place
            path.unlink()
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def _lock(handle: int, kind: int) -> None:
    """Waits for who gives the file up, a moment; with LOCK_NB it raises BlockingIOError where somebody holds it."""
    try:
        fcntl.flock(handle, kind)
    except OSError as problem:
        if problem.errno not in NO_LOCKS:
            raise
