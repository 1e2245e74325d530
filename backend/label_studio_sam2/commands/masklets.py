"""`masklets`: an export's masks in another format, with a progress bar, and then what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from label_studio_sam2.errors import RequestError, ServiceError
from label_studio_sam2.exports.masklets.convert import Progress, convert
from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.exports.report import Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.settings import Settings
from label_studio_sam2.wording import counted


class NothingWrittenError(ServiceError):
    """The export holds no mask that could be written."""


def run(
    export: Path,
    out: Path,
    form: Format,
    *,
    videos: Path | None,
    fetch: bool,
    every: bool,
    settings: Settings,
) -> None:
    """Raises RequestError, and NothingWrittenError after the summary."""
    console = Console()
    with (
        sources(videos, settings, fetch=fetch or form is Format.OVERLAY) as found,
        bars(console) as watch,
    ):
        report = convert(export, out, form, found, every=every, watch=watch)
    show(report, out, console)
    if not report.masks:
        raise NothingWrittenError(f"No mask could be written from {export}.")


def show(report: Report, out: Path, console: Console) -> None:
    """What was written, whose frame numbers it has, and what is missing."""
    numbers = {
        "the videos' own, from 0": report.by_source,
        "Label Studio's, less one": report.clips - report.by_source,
    }
    whose = " and ".join(f"{whose} ({counted(clips, 'clip')})" for whose, clips in numbers.items() if clips)
    console.print(
        f"{counted(report.masks, 'mask')} on {counted(report.frames, 'frame')} of {counted(report.clips, 'clip')} "
        f"{'is' if report.masks == 1 else 'are'} in {out}/." + (f" Frame numbers: {whose}." if whose else ""),
        highlight=False,
        markup=False,
    )
    missing(report, console)


def missing(report: Report, console: Console) -> None:
    """A table of it, where there is anything."""
    if report.lacks:
        table = Table("number", "missing", "for example", title="What is missing")
        for lack, times in report.lacks.items():
            table.add_row(str(times), lack.value, Text(report.examples[lack]))
        console.print(table)


@contextmanager
def sources(folder: Path | None, settings: Settings, *, fetch: bool) -> Iterator[Sources]:
    """Raises RequestError where the folder is none."""
    if folder is not None and not folder.is_dir():
        raise RequestError(f"{folder} isn't a folder. Give the one that holds the files.")
    if not fetch:
        yield Sources(folder, max_pixels=settings.max_image_pixels)
        return
    with TemporaryDirectory() as cache, LabelStudioClient.of(settings) as label_studio:
        media = MediaStore.of(settings, Path(cache), label_studio)
        yield Sources(folder, media, settings.max_image_pixels)


@contextmanager
def bars(console: Console) -> Iterator[Callable[[Progress], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as shown:
        whole = shown.add_task("export, per cent", total=100)
        clip = shown.add_task("frames", total=None)

        def watch(progress: Progress) -> None:
            shown.update(whole, completed=round(100 * progress.read))
            shown.update(clip, description=progress.clip, completed=progress.done, total=progress.frames)

        yield watch
        shown.update(whole, completed=100)
