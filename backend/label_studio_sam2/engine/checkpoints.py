"""Published files: the SAM 2.1 checkpoints, how a file reaches the disk, how it is verified."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple

import httpx

from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import DIRECT, Outgoing

PUBLISHED = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
TIMEOUT = httpx.Timeout(30, connect=10)

Progress = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes that there will be."""


class Checkpoint(NamedTuple):
    """A file as it was published, `named` so where that isn't its own name; `setting` is the variable for it."""

    name: str
    size: int
    sha256: str
    base: str = PUBLISHED
    named: str = ""
    setting: str = "MODEL"

    @property
    def file(self) -> str:
        return self.named or f"{self.name}.pt"

    @property
    def url(self) -> str:
        return self.base + self.file


CHECKPOINTS = {
    row.name: row
    for row in (
        Checkpoint(
            "sam2.1_hiera_tiny",
            156008466,
            "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        ),
        Checkpoint(
            "sam2.1_hiera_small",
            184416285,
            "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        ),
        Checkpoint(
            "sam2.1_hiera_base_plus",
            323606802,
            "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        ),
        Checkpoint(
            "sam2.1_hiera_large",
            898083611,
            "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        ),
    )
}


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; read again only where the file has changed. Raises CheckpointError
    where it can't be read."""
    try:
        stamp = path.stat()
        return _sha256(path, (stamp.st_mtime_ns, stamp.st_ino, stamp.st_size))
    except OSError as error:
        raise CheckpointError(
            f"MODEL: {path} can't be read ({error.strerror}). Give a checkpoint's name or a readable file."
        ) from error


@lru_cache
def _sha256(path: Path, _stamp: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, checkpoint: Checkpoint) -> None:
    """Raises CheckpointError unless the file is, bit for bit, the one that was published."""
    found = sha256(path)
    if found != checkpoint.sha256:
        raise CheckpointError(
            f"{path} is not the published {checkpoint.name}: its SHA-256 starts with {found[:8]}, not "
            f"{checkpoint.sha256[:8]}. Delete the file; it is then downloaded anew."
        )


def download(
    checkpoint: Checkpoint, folder: Path, progress: Progress | None = None, outgoing: Outgoing = DIRECT
) -> Path:
    """The verified checkpoint's path in `folder`; what is missing is downloaded, resuming what an earlier try left.

    Two processes that share the folder download once: the second waits for the first. Raises CheckpointError
    with what to do where the download fails, the disk is full or the hash is wrong.
    """
    target = folder / checkpoint.file
    if target.exists():
        return target
    if outgoing.offline:
        raise CheckpointError(
            f"{checkpoint.name} isn't in {folder}, and HF_HUB_OFFLINE forbids downloads. Put {checkpoint.file} there "
            "(docs/offline.md), or take HF_HUB_OFFLINE away."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_suffix(".part")) as part:
            if not target.exists():
                _resume(checkpoint, part, progress or (lambda _done, _total: None), outgoing)
                verify(Path(part.name), checkpoint)
                Path(part.name).replace(target)
    except httpx.HTTPError as error:
        raise CheckpointError(
            f"{checkpoint.name} can't be downloaded from {checkpoint.url} ({error}). Try again, put the file into "
            f"{folder} yourself, or set {checkpoint.setting}=demo."
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"{checkpoint.name} can't be stored in {folder} ({error.strerror}). Set MODEL_CACHE to a writable "
            f"folder with {checkpoint.size / 1e6:.0f} MB free."
        ) from error
    return target


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """The file to download into, once nobody else does; where nothing came, it doesn't stay."""
    with _owned(part) as file:
        try:
            yield file
        finally:
            if part.exists() and not part.stat().st_size:
                part.unlink()


def _owned(part: Path) -> IO[bytes]:
    """Locked; opened anew where whoever had it has moved or removed it meanwhile."""
    while True:
        file = part.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), part.stat()):
                return file
        file.close()


def _resume(checkpoint: Checkpoint, part: IO[bytes], progress: Progress, outgoing: Outgoing) -> None:
    there = part.seek(0, 2)
    if there >= checkpoint.size:  # left over from a wrong file: nothing of it can be trusted
        there = part.truncate(0)
    headers = {"Range": f"bytes={there}-"} if there else {}
    with (
        outgoing.client(timeout=TIMEOUT, follow_redirects=True) as http,
        http.stream("GET", checkpoint.url, headers=headers) as response,
    ):
        response.raise_for_status()
        if there and response.status_code != httpx.codes.PARTIAL_CONTENT:
            there = part.truncate(0)
        for chunk in response.iter_bytes():
            there += part.write(chunk)
            if there > checkpoint.size:
                break  # whatever this is, it is not the checkpoint; verify says so
            progress(there, checkpoint.size)
    part.flush()
