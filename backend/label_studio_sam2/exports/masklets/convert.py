"""The use case: annotations of videos become a folder of one of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from label_studio_sam2.exports import folder
from label_studio_sam2.exports.files import parts
from label_studio_sam2.exports.format import Choice
from label_studio_sam2.exports.masklets import coco, davis, overlay, youtube_vos
from label_studio_sam2.exports.masklets.annotation import Annotation
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.exports.report import Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.exports.submitted import Annotations, Export

Step = Callable[[str, int, int], None]
"""Told a clip's name, how many of its frames are done, and of how many."""

Write = Callable[[Iterable[Clip], Path, Report, Step], None]
"""Writes clips into an empty folder, and counts in the report what it wrote."""


WRITERS: Mapping[Format, Write] = {
    Format.DAVIS: davis.write,
    Format.COCO: coco.write,
    Format.YOUTUBE_VOS: youtube_vos.write,
    Format.OVERLAY: overlay.write,
}


class Progress(NamedTuple):
    """How much of the export is done (0 to 1), and how far the clip is that is being written."""

    read: float
    clip: str
    done: int
    frames: int


Watch = Callable[[Progress], None]


def convert(
    export: Path,
    out: Path,
    form: Format,
    sources: Sources,
    *,
    every: bool = False,
    watch: Watch = lambda _: None,
) -> Report:
    """Writes a file's annotations, as `write` does. `every` takes all of a task's, not the last alone.

    Raises RequestError where the export can't be read.
    """
    report = Report()
    found = Export.of(parts(export, report), report, Choice.ALL if every else Choice.LAST)
    write(found, out, form, sources, report=report, watch=watch)
    return report


def write(
    submitted: Annotations,
    out: Path,
    form: Format,
    sources: Sources,
    *,
    report: Report,
    watch: Watch = lambda _: None,
) -> None:
    """Writes into `out`, a folder that is made or empty; without a mask to write, it stays empty.

    Raises RequestError where the folder holds something.
    """
    out = folder.empty(out)
    begun = 0

    def clips() -> Iterator[Clip]:
        nonlocal begun
        taken: set[str] = set()
        for one in submitted:
            begun += 1
            annotation = Annotation.of(one, report)
            if annotation is None:
                continue
            numbers = (annotation.task, annotation.id)
            name = folder.free_name(folder.media_name(annotation.address), numbers, taken)
            video = sources.video(annotation.address, annotation.task, report)
            clip = Clip.of(annotation, name, video, report)
            if clip is not None:
                yield clip

    def step(clip: str, done: int, frames: int) -> None:
        watch(Progress((begun - 1 + done / max(1, frames)) / max(1, len(submitted)), clip, done, frames))

    WRITERS[form](clips(), out, report, step)
    if not report.masks:
        folder.clear(out)
