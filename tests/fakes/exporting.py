"""Tasks exported as one format, as the command does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from label_studio_sam2.exports.files import parts
from label_studio_sam2.exports.format import Choice, Format
from label_studio_sam2.exports.pictures.convert import Wish
from label_studio_sam2.exports.pictures.convert import write as write_pictures
from label_studio_sam2.exports.report import Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.exports.submitted import Export

from tests.fakes.annotated import CONFIG, Json, write


def exported(
    folder: Path,
    form: Format,
    *tasks: Json,
    config: str | None = CONFIG,
    choice: Choice = Choice.LAST,
    media: Path | None = None,
    **wish: Any,
) -> tuple[Path, Report]:
    """The folder that was written, a new one in `folder`, and what was said of it."""
    report = Report()
    folder.mkdir(exist_ok=True)
    out = folder / f"{form.value}-{len(list(folder.iterdir()))}"
    export = Export.of(parts(write(folder / "export.json", *tasks), report), report, choice)
    write_pictures(export, out, Wish(form, config, **wish), Sources(media), report=report)
    return out, report
