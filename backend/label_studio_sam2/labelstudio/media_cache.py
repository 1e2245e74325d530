"""Media on disk, by address: bounded in bytes, the least recently used goes first.

One folder holds, for each address, `<key>.<digest>`, the file as it was fetched, and `<key>.json`, what is
known of it. Files are written aside and moved into place, and a file's name says what is in it, so that any
number of threads and processes may share the folder: at worst two of them fetch the same thing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import orjson

from label_studio_sam2.errors import MediaUnavailable

GRACE_SECONDS = 120.0
"""A file is never evicted this long after its last use: whoever asked for it has opened it by then, and an
open file outlives its name."""

ABANDONED_SECONDS = 3600.0
DIGEST_BYTES = 32
DRAFT = "draft-"
FULL = {errno.ENOSPC, errno.EDQUOT}

Validators = tuple[str, str]
"""ETag and Last-Modified as an origin sent them, empty where it didn't."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a fetched file; `fetched` is when its origin was last asked (seconds of the epoch)."""

    digest: str
    size: int
    fetched: float
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    path: Path
    facts: Facts


class Draft:
    """A file being written; its digest grows with it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self.size = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()


class MediaCache:
    """`now` is wall time, since files outlive processes."""

    def __init__(self, folder: Path, max_bytes: int, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._now = now
        self._unscanned: float = float("inf")

    @staticmethod
    def key(identity: str) -> str:
        return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()

    def get(self, key: str) -> Entry | None:
        """What is kept under a key, marked as used now; None where nothing whole is."""
        try:
            facts = Facts(**orjson.loads((self._folder / f"{key}.json").read_bytes()))
            path = self._path(key, facts)
            now = self._now()
            os.utime(path, (now, now))
            return Entry(path, facts) if path.stat().st_size == facts.size else None
        except (OSError, TypeError, ValueError):
            return None

    def store(self, key: str, fill: Callable[[Draft], Validators]) -> Entry:
        """Keep what `fill` writes. Where the disk is full, everything not in use goes, and `fill` is asked
        again.

        Raises what `fill` raises; MediaUnavailable where the folder can't be written. No half file is left.
        """
        try:
            try:
                return self._store(key, fill)
            except OSError as problem:
                if problem.errno not in FULL:
                    raise
            self.shrink(0)
            return self._store(key, fill)
        except OSError as problem:
            raise MediaUnavailable(_unwritable(self._folder, problem)) from problem

    def renew(self, key: str, entry: Entry) -> Entry:
        """Note that the origin has just said that nothing changed."""
        facts = replace(entry.facts, fetched=self._now())
        self._note(key, facts)
        return Entry(entry.path, facts)

    def shrink(self, max_bytes: int) -> None:
        """Bring the folder down to a size, oldest use first, and clear away what crashes left."""
        now = self._now()
        files = [(status.st_mtime, status.st_size, path) for path, status in self._files()]
        total = sum(size for _, size, _ in files)
        kept = {path.stem for _, _, path in files}
        for used, size, path in sorted(files):
            if total <= max_bytes or now - used < GRACE_SECONDS:
                break
            path.unlink(missing_ok=True)
            kept.discard(path.stem)
            total -= size
        for facts in self._folder.glob("*.json"):
            if facts.stem not in kept:
                facts.unlink(missing_ok=True)
        self._unscanned = 0

    def _store(self, key: str, fill: Callable[[Draft], Validators]) -> Entry:
        with self._aside() as aside:
            with aside.open("wb") as file:
                draft = Draft(file)
                validators = fill(draft)
            facts = Facts(draft.digest, draft.size, self._now(), *validators)
            path = self._path(key, facts)
            aside.replace(path)
        os.utime(path, (facts.fetched, facts.fetched))
        self._note(key, facts)
        self._unscanned += facts.size
        if self._unscanned > self._max_bytes / 16:
            self.shrink(self._max_bytes)
        return Entry(path, facts)

    def _note(self, key: str, facts: Facts) -> None:
        with self._aside() as aside:
            aside.write_bytes(orjson.dumps(facts))
            aside.replace(self._folder / f"{key}.json")

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """A new file that nobody else sees, gone at the end unless it was moved to its place."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=DRAFT, dir=self._folder)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The media; drafts that nobody writes any more are removed on the way."""
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.name.startswith(DRAFT):
                    if self._now() - status.st_mtime > ABANDONED_SECONDS:
                        path.unlink()
                elif path.suffix != ".json":
                    yield path, status

    def _path(self, key: str, facts: Facts) -> Path:
        return self._folder / f"{key}.{facts.digest}"


def _unwritable(folder: Path, problem: OSError) -> str:
    if problem.errno in FULL:
        return f"The disk of the media cache ({folder}) is full: free some space there."
    return f"The media cache ({folder}) can't be written ({problem.strerror}): make it writable."
