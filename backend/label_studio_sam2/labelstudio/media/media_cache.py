"""Media on disk, by address: bounded in bytes, the least recently used goes first.

One folder holds, for each address, `<key>.<digest>`, the file as it was fetched, and `<key>.json`, what is
known of it. Files are written aside and moved into place, and a file's name says what is in it, so that any
number of threads and processes may share the folder: at worst two of them fetch the same thing. What is in use, in
whichever process, is held (see `holds`) and stays, whatever the bound.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import IO
from weakref import WeakValueDictionary

import orjson

from label_studio_sam2.errors import MediaUnavailable
from label_studio_sam2.labelstudio.media.holds import Hold, give_up

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
    """A kept file; it stays where it is as long as anybody refers to `hold`."""

    path: Path
    facts: Facts
    hold: Hold = field(compare=False, repr=False)


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
    """`now` is wall time, since files outlive processes; what it says may jump, and then nothing counts as fresh."""

    def __init__(self, folder: Path, max_bytes: int, *, now: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._now = now
        self._unscanned: float = inf
        self._holds: WeakValueDictionary[Path, Hold] = WeakValueDictionary()

    @staticmethod
    def key(identity: str) -> str:
        return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()

    def get(self, key: str) -> Entry | None:
        """What is kept under a key, marked as used now; None where nothing whole is."""
        try:
            facts = Facts(**orjson.loads((self._folder / f"{key}.json").read_bytes()))
            path = self._path(key, facts)
            hold = self._held(path, facts.size)
            if hold is None or not self._ours():
                return None
            now = self._now()
            os.utime(path, (now, now))
            return Entry(path, facts, hold)
        except (OSError, TypeError, ValueError):
            return None

    def age(self, facts: Facts) -> float:
        """Seconds since its origin was last asked; endless where the clock has been set back since."""
        seconds = self._now() - facts.fetched
        return seconds if seconds >= 0 else inf

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
        return Entry(entry.path, facts, entry.hold)

    def shrink(self, max_bytes: int) -> None:
        """Bring the folder down to a size, oldest use first, and clear away what crashes left. What is held stays."""
        now = self._now()
        files = [(status.st_mtime, status.st_size, path) for path, status in self._files()]
        total = sum(size for _, size, _ in files)
        kept = {path.stem for _, _, path in files}
        # What was used later than now was used before the clock was set back: nobody knows when.
        for _, size, path in sorted(files, key=lambda file: file[0] if file[0] <= now else 0):
            if total <= max_bytes:
                break
            if give_up(path):
                kept.discard(path.stem)
                total -= size
        for facts in self._folder.glob("*.json"):
            if facts.stem not in kept:
                facts.unlink(missing_ok=True)
        self._unscanned = 0

    def _store(self, key: str, fill: Callable[[Draft], Validators]) -> Entry:
        with self._aside() as (aside, hold):
            with aside.open("wb") as file:
                draft = Draft(file)
                validators = fill(draft)
            facts = Facts(draft.digest, draft.size, self._now(), *validators)
            path = self._path(key, facts)
            same = self._held(path, facts.size)
            if same is None:
                aside.replace(path)
                self._holds[path] = hold
        os.utime(path, (facts.fetched, facts.fetched))
        self._note(key, facts)
        self._unscanned += facts.size
        if self._unscanned > self._max_bytes / 16:
            self.shrink(self._max_bytes)
        return Entry(path, facts, same or hold)

    def _note(self, key: str, facts: Facts) -> None:
        with self._aside() as (aside, _):
            aside.write_bytes(orjson.dumps(facts))
            aside.replace(self._folder / f"{key}.json")

    @contextmanager
    def _aside(self) -> Iterator[tuple[Path, Hold]]:
        """A new file that nobody else sees, gone at the end unless it was moved to its place."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._ours():
            raise MediaUnavailable(
                f"The media cache ({self._folder}) belongs to another user of this machine: set MEDIA_CACHE to a "
                "folder of this service's own."
            )
        path, hold = self._draft()
        try:
            yield path, hold
        finally:
            path.unlink(missing_ok=True)

    def _draft(self) -> tuple[Path, Hold]:
        while True:
            handle, name = tempfile.mkstemp(prefix=DRAFT, dir=self._folder)
            os.close(handle)
            with suppress(FileNotFoundError):  # another process took it for one that a crash left
                return Path(name), Hold(Path(name))

    def _ours(self) -> bool:
        """Whether what lies in the folder is ours, or the system's: its place in a temporary folder can be guessed."""
        return self._folder.lstat().st_uid in {os.getuid(), 0}

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """The media; drafts that nobody writes any more are removed on the way."""
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.name.startswith(DRAFT):
                    if not 0 <= self._now() - status.st_mtime <= ABANDONED_SECONDS:
                        give_up(path)
                elif path.suffix != ".json":
                    yield path, status

    def _held(self, path: Path, size: int) -> Hold | None:
        """One for all that need the file in this process, as only so many may be open; None where it isn't there as it
        should be."""
        try:
            if path.stat().st_size != size:
                return None
            hold = self._holds.get(path) or Hold(path)
        except FileNotFoundError:
            return None
        self._holds[path] = hold
        return hold

    def _path(self, key: str, facts: Facts) -> Path:
        return self._folder / f"{key}.{facts.digest}"


def _unwritable(folder: Path, problem: OSError) -> str:
    if problem.errno in FULL:
        return f"The disk of the media cache ({folder}) is full: free some space there."
    return f"The media cache ({folder}) can't be written ({problem.strerror}): make it writable."
