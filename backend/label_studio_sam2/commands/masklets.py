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
from label_studio_sam2.labelstudio.client import LabelStudioClient
from label_studio_sam2.labelstudio.media import MediaStore
from label_studio_sam2.masklets.convert import Progress, convert
from label_studio_sam2.masklets.format import Format
from label_studio_sam2.masklets.report import Report
from label_studio_sam2.masklets.sources import Sources
from label_studio_sam2.settings import Settings


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
    if videos is not None and not videos.is_dir():
        raise RequestError(f"{videos} isn't a folder. Give the one that holds the videos.")
    console = Console()
    with (
        _sources(videos, settings, fetch=fetch or form is Format.OVERLAY) as sources,
        _bars(console) as watch,
    ):
        report = convert(export, out, form, sources, every=every, watch=watch)
    show(report, out, console)
    if not report.masks:
        raise NothingWrittenError(f"No mask could be written from {export}.")


def show(report: Report, out: Path, console: Console) -> None:
    """What was written, whose frame numbers it has, and what is missing."""
    numbers = {
        "the videos' own, from 0": report.by_source,
        "Label Studio's, less one": report.clips - report.by_source,
    }
    whose = " and ".join(f"{whose} ({clips} clips)" for whose, clips in numbers.items() if clips)
    console.print(
        f"{report.masks} masks on {report.frames} frames of {report.clips} clips are in {out}/."
        + (f" Frame numbers: {whose}." if whose else ""),
        highlight=False,
        markup=False,
    )
    if report.lacks:
        table = Table("number", "missing", "for example", title="What is missing")
        for lack, times in report.lacks.items():
            table.add_row(str(times), lack.value, Text(report.examples[lack]))
        console.print(table)


@contextmanager
def _sources(folder: Path | None, settings: Settings, *, fetch: bool) -> Iterator[Sources]:
    if not fetch:
        yield Sources(folder, max_pixels=settings.max_image_pixels)
        return
    key = settings.label_studio_api_key.get_secret_value()
    with TemporaryDirectory() as cache, LabelStudioClient(settings.label_studio_url, key) as label_studio:
        media = MediaStore(
            Path(cache),
            label_studio,
            allowed_hosts=settings.media_allowed_hosts,
            max_bytes=settings.max_media_mb << 20,
        )
        yield Sources(folder, media, settings.max_image_pixels)


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[Progress], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=console) as bars:
        whole = bars.add_task("export, per cent", total=100)
        clip = bars.add_task("frames", total=None)

        def watch(progress: Progress) -> None:
            bars.update(whole, completed=round(100 * progress.read))
            bars.update(clip, description=progress.clip, completed=progress.done, total=progress.frames)

        yield watch
        bars.update(whole, completed=100)
