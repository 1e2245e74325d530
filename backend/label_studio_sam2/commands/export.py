"""`export`: annotations of pictures or videos as a data set, or drawn over, and then what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from label_studio_sam2.commands import masklets as of_videos
from label_studio_sam2.commands.masklets import NothingWrittenError, missing
from label_studio_sam2.errors import RequestError
from label_studio_sam2.exports.files import parts
from label_studio_sam2.exports.format import OF_PICTURES, OF_VIDEOS, Choice, Format
from label_studio_sam2.exports.masklets import convert as videos
from label_studio_sam2.exports.masklets import format as masklets
from label_studio_sam2.exports.pictures import convert as pictures
from label_studio_sam2.exports.report import Report
from label_studio_sam2.exports.submitted import Annotations, Export, Project
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.settings import Settings
from label_studio_sam2.wording import counted


@dataclass(frozen=True)
class Asked:
    """What to export: a file or folder `export`, or `project`, whose labeling config is the file's where both are
    given. `media` is a folder with the pictures or videos; `fetch` gets what it lacks from where the tasks say."""

    export: Path | None
    out: Path
    form: Format
    project: int | None = None
    choice: Choice = Choice.LAST
    label_config: Path | None = None
    val: float = 0.0
    images: bool = False
    media: Path | None = None
    fetch: bool = False


def run(asked: Asked, settings: Settings) -> None:
    """Raises RequestError, LabelStudioError, and NothingWrittenError after the summary."""
    report, console = Report(), Console()
    with _source(asked, settings, report) as (annotations, config):
        if _of_videos(annotations, asked):
            _write_videos(annotations, asked, settings, report, console)
        else:
            _write_pictures(annotations, config, asked, settings, report=report, console=console)


@contextmanager
def _source(asked: Asked, settings: Settings, report: Report) -> Iterator[tuple[Annotations, str | None]]:
    """What is to be exported, and its labeling config, where one is known."""
    given = _read(asked.label_config) if asked.label_config else None
    if asked.project is None:
        if asked.export is None:
            raise RequestError("Say what to export: a file of Label Studio's, or --project with its number.")
        yield Export.of(parts(asked.export, report), report, asked.choice), given
        return
    with LabelStudioClient.of(settings) as client:
        config = given or str(client.project(asked.project).get("label_config"))
        if asked.export is not None:
            yield Export.of(parts(asked.export, report), report, asked.choice), config
            return
        kinds = {tag.kind for tag in labeling_config.parse(config).objects.values()}
        yield (
            Project.of(client, asked.project, report, asked.choice, videos="Image" not in kinds),
            config,
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} can't be read as a labeling config: {error}.") from error


def _of_videos(annotations: Annotations, asked: Asked) -> bool:
    """Whether videos are to be written. Raises RequestError where there is nothing of the format's kind."""
    here = {False: annotations.of_pictures, True: annotations.of_videos}
    able = {False: asked.form in OF_PICTURES, True: asked.form in OF_VIDEOS}
    kind = able[True] and (not able[False] or here[True] > here[False])
    if not here[kind] and here[not kind]:
        others = ", ".join(sorted(OF_PICTURES if kind else OF_VIDEOS))
        named = ("pictures", "videos") if kind else ("videos", "pictures")
        raise RequestError(
            f"What is to be exported are {named[0]}, and {asked.form} is a format of {named[1]}. "
            f"Choose a --format from {others}."
        )
    if kind and (asked.val or asked.images):
        raise RequestError("--val and --images are for pictures, and these are videos. Leave them out.")
    return kind


def _write_videos(
    annotations: Annotations, asked: Asked, settings: Settings, report: Report, console: Console
) -> None:
    form = masklets.Format(asked.form.value)
    fetch = asked.fetch or asked.form is Format.OVERLAY
    with (
        of_videos.sources(asked.media, settings, fetch=fetch) as sources,
        of_videos.bars(console) as watch,
    ):
        videos.write(annotations, asked.out, form, sources, report=report, watch=watch)
    of_videos.show(report, asked.out, console)
    if not report.masks:
        raise NothingWrittenError("No mask could be written.")


def _write_pictures(
    annotations: Annotations,
    config: str | None,
    asked: Asked,
    settings: Settings,
    *,
    report: Report,
    console: Console,
) -> None:
    wish = pictures.Wish(asked.form, config, asked.val, asked.images)
    fetch = asked.fetch or asked.images or asked.form is Format.OVERLAY
    with of_videos.sources(asked.media, settings, fetch=fetch) as sources, _bar(console) as watch:
        pictures.write(annotations, asked.out, wish, sources, report=report, watch=watch)
    console.print(
        f"{counted(report.masks, 'object')} on {counted(report.pictures, 'picture')} "
        f"{'is' if report.masks == 1 else 'are'} in {asked.out}/.",
        highlight=False,
        markup=False,
    )
    missing(report, console)
    if not report.pictures:
        raise NothingWrittenError("No picture could be written.")


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        bar = shown.add_task("annotations", total=None)
        yield lambda done, of: shown.update(bar, completed=done, total=of)
