"""The command `import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_sam2.cli.options import Project, Service
from label_studio_sam2.imports.kind import As
from label_studio_sam2.settings import Settings


def import_(
    data: Annotated[
        Path,
        typer.Argument(help="COCO's annotation file, YOLO's data.yaml, or a folder that holds one of them."),
    ],
    project: Project,
    kind: Annotated[As, typer.Option("--as", help="What the objects become.")] = As.PREDICTIONS,
    images: Annotated[
        Path | None, typer.Option(help="COCO: the folder with the pictures; that of the file.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="Upload nothing: a picture's address is this and its path in the data set."),
    ] = None,
    *,
    service: Service = None,
    turned: Annotated[
        bool, typer.Option("--obb", help="YOLO: four corners are a turned box, not an outline.")
    ] = False,
    masks: Annotated[
        bool, typer.Option("--masks", help="Have the running service make masks of what is a box.")
    ] = False,
) -> None:
    """Bring a COCO or YOLO data set into a project, to go on from there.

    Pictures that the project lacks become tasks. Each object is drawn on the
    tag of the labeling config that shows most of it: its pixels, its corners,
    its box. Done again, it adds what is missing, and nothing twice. The exit
    code is 1 where something couldn't be used.
    """
    from label_studio_sam2.commands import importing as command

    asked = command.Asked(data, project, kind, images, url, turned=turned, masks=masks, service=service)
    raise typer.Exit(command.run(asked, Settings()))
