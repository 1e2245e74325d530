"""The JSON files that an export is made of: one, or those of a folder (as target storages write them), or of a zip."""

from __future__ import annotations

import codecs
import gzip
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from label_studio_sam2.errors import RequestError
from label_studio_sam2.exports.report import Lack, Report

HEAD = 4096
"""Bytes in which a file's JSON has to begin."""

ENCODINGS: Mapping[bytes, str] = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"[\0": "utf-16-le",
    b"{\0": "utf-16-le",
    b"\0[": "utf-16-be",
    b"\0{": "utf-16-be",
}
"""By the first two bytes; otherwise UTF-8, with or without its mark."""

ROOTS = {b"[": "item", b"{": ""}
"""Where the tasks are, by the first character (ijson's prefix)."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file that holds JSON in UTF-8 or UTF-16: one value, or several one after the other (JSON Lines)."""

    name: str
    open_bytes: Callable[[], IO[bytes]]

    def open(self) -> tuple[Rest, str]:
        """As UTF-8, where its JSON begins, with the prefix of its tasks. Raises RequestError where it holds none."""
        file = self.open_bytes()
        mark = file.read(2)
        file.seek(0)
        if mark in ENCODINGS:
            file = codecs.EncodedFile(file, "utf-8", ENCODINGS[mark])
        try:
            head = file.read(HEAD)
        except UnicodeDecodeError:
            head = b""
        begin = len(head) - len(head.removeprefix(b"\xef\xbb\xbf").lstrip())
        prefix = ROOTS.get(head[begin : begin + 1])
        if prefix is None:
            file.close()
            raise RequestError("The export isn't JSON. Export as JSON or JSON_MIN from Label Studio.")
        return Rest(head[begin:], file), prefix


class Rest:
    """What is left of a file whose beginning was read already; all that ijson wants of a file."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = head
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """The next bytes, about `size` of them; none at the end."""
        if not size:
            return b""
        head, self._head = self._head, b""
        return head or self._file.read(size)

    def close(self) -> None:
        self._file.close()


def parts(export: Path, report: Report) -> list[Part]:
    """In the order of their names; what holds no JSON among others is passed over, and said.

    Raises RequestError where there is nothing to read.
    """
    if export.is_dir():
        found = [
            part
            for path in sorted(export.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
            for part in _of(path)
        ]
    elif export.is_file():
        found = _of(export)
    else:
        raise RequestError(f"{export} isn't a file. Give a JSON or JSON_MIN export of Label Studio.")
    if len(found) == 1:
        return found
    readable = [part for part in found if _readable(part, report)]
    if not readable:
        raise RequestError(f"{export} holds no JSON file. Give a JSON or JSON_MIN export of Label Studio.")
    return readable


def _of(path: Path) -> list[Part]:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return [Part(path.name, partial(_unzipped, path))]
    if magic != b"PK\x03\x04":
        return [Part(path.name, partial(_plain, path))]
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if name.lower().endswith((".json", ".jsonl")))
    except zipfile.BadZipFile as error:
        raise RequestError(f"{path} is a damaged zip. Export again.") from error
    return [Part(name, partial(_member, path, name)) for name in names]


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _unzipped(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb"))


def _member(path: Path, name: str) -> IO[bytes]:
    return zipfile.ZipFile(path).open(name)


def _readable(part: Part, report: Report) -> bool:
    try:
        part.open()[0].close()
    except RequestError:
        report.lack(Lack.NO_JSON, part.name)
        return False
    return True
