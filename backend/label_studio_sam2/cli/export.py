"""The command `export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_sam2.exports.format import Choice, Format
from label_studio_sam2.settings import Settings

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="[EXPORT] OUT",
        help="A JSON or JSON_MIN export of Label Studio, or a folder of what a target storage wrote, unless "
        "--project is given; and a new or empty folder.",
    ),
]
ExportedMedia = Annotated[
    Path | None,
    typer.Option(help="Folder with the pictures or videos, found by their names, also below it."),
]
Share = Annotated[
    float, typer.Option(min=0, max=0.9, help="Share of tasks to set apart, always the same ones.")
]
Exported = Annotated[
    int | None, typer.Option(min=1, help="Export this project of Label Studio (LABEL_STUDIO_URL).")
]
LabelConfig = Annotated[
    Path | None,
    typer.Option(help="Of a file: the project's labeling config, as XML. --project knows it itself."),
]


def export(
    paths: Paths,
    *,
    form: Annotated[Format, typer.Option("--format", help="What to write, as listed above.")],
    project: Exported = None,
    annotations: Annotated[
        Choice, typer.Option(help="Which of a task's submitted annotations; skipped ones never.")
    ] = Choice.LAST,
    label_config: LabelConfig = None,
    val: Share = 0.0,
    images: Annotated[
        bool, typer.Option("--images", help="Write the pictures too, fetched from where their tasks say.")
    ] = False,
    media: ExportedMedia = None,
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help="Fetch what --media lacks, so that sizes and frames are the files'."),
    ] = False,
) -> None:
    """Write what was annotated as a data set, or drawn over for people to judge, and say what is missing.

    Of pictures: coco (every pixel), coco-polygons, yolo (outlines), yolo-box,
    yolo-obb (turned boxes), voc, png (one an object), semantic (one a
    picture), overlay. Of videos: davis, coco, youtube-vos, overlay.

    Each object is written once: clicks and boxes that only asked for a mask
    are left out, and so is what is saved twice. The labeling config tells
    which boxes those are, and the order of the categories; a `category` on a
    Label is its number. A region is a crowd where its note says "crowd", and
    a part of another of its label that it was put below in the list. With
    `--annotations all` each annotation is a picture of its own.
    """
    from label_studio_sam2.commands import export as command

    asked = command.Asked(
        *_source_and_out(paths, project),
        form,
        project=project,
        choice=annotations,
        label_config=label_config,
        val=val,
        images=images,
        media=media,
        fetch=fetch,
    )
    command.run(asked, Settings())


def _source_and_out(paths: list[Path], project: int | None) -> tuple[Path | None, Path]:
    if len(paths) == 2:
        return paths[0], paths[1]
    if len(paths) == 1 and project is not None:
        return None, paths[0]
    raise typer.BadParameter("Give EXPORT and OUT, or OUT alone with --project.")
