"""The use case: an export becomes a folder of one of the formats."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from label_studio_sam2.errors import RequestError
from label_studio_sam2.masklets.clip import Clip, folder_name
from label_studio_sam2.masklets.export import read
from label_studio_sam2.masklets.format import Format
from label_studio_sam2.masklets.report import Report
from label_studio_sam2.masklets.sources import Sources
from label_studio_sam2.masklets.writers import WRITERS


class Progress(NamedTuple):
    """How much of the export is read (0 to 1), and how far the clip is that is being written."""

    read: float
    clip: str
    done: int
    frames: int


def convert(
    export: Path,
    out: Path,
    form: Format,
    sources: Sources,
    *,
    every: bool = False,
    watch: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Writes into `out`, a folder that is made or empty. `every` takes all annotations of a task, not the last alone.

    Raises RequestError where the export can't be read, or the folder holds something. Without a mask to write, the
    folder stays empty.
    """
    report = Report()
    size = _readable(export)
    out = _empty(out)
    with export.open("rb") as file:

        def step(clip: str, done: int, frames: int) -> None:
            watch(Progress(file.tell() / size, clip, done, frames))

        WRITERS[form](_clips(file, sources, report, every=every), out, report, step)
    if not report.masks:
        _clear(out)
    return report


def _clips(file: IO[bytes], sources: Sources, report: Report, *, every: bool) -> Iterator[Clip]:
    taken: set[str] = set()
    for annotation in read(file, report, every=every):
        name = folder_name(annotation, taken)
        clip = Clip.of(annotation, name, sources.video(annotation, report), report)
        if clip is not None:
            yield clip


def _readable(export: Path) -> int:
    if not export.is_file():
        raise RequestError(f"{export} isn't a file. Give a JSON or JSON_MIN export of Label Studio.")
    return export.stat().st_size


def _empty(out: Path) -> Path:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"{out} isn't an empty folder. Give a new one, so that nothing gets mixed up.")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _clear(out: Path) -> None:
    """It was empty when writing began."""
    shutil.rmtree(out)
    out.mkdir()
