"""The command `masklets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.settings import Settings


def masklets(
    export: Annotated[Path, typer.Argument(help="A JSON or JSON_MIN export of Label Studio.")],
    out: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    *,
    form: Annotated[Format, typer.Option("--format", help="What to write.")],
    videos: Annotated[
        Path | None, typer.Option(help="Folder with the videos, found by their names, also below it.")
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch videos from where their tasks say (LABEL_STUDIO_URL).")
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Write all of a task's annotations, not the one submitted last alone."),
    ] = False,
) -> None:
    """Turn an export's tracked video regions into masks: DAVIS, COCO, YouTube-VOS, or the video with masks drawn.

    With --videos or --fetch, frames are numbered as the video's file has
    them, from 0. Without, they are Label Studio's frame numbers less one, at
    the framerate of the labeling config. An overlay needs the videos: those
    that --videos lacks are fetched.

    Nothing is interpolated: only tracked frames have masks, so export without
    interpolated key frames. Frames that show an object whose mask is missing
    are left out of the data sets. Skipped annotations are passed over. What
    is missing is listed at the end; the exit code is 1 only where no mask
    could be written.
    """
    from label_studio_sam2.commands import masklets as command

    command.run(export, out, form, videos=videos, fetch=fetch, every=every, settings=Settings())
