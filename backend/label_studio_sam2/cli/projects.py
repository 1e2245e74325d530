"""The commands for a project of Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_sam2.cli import options
from label_studio_sam2.cli.options import Project, Service
from label_studio_sam2.settings import Settings


def connect(  # noqa: PLR0917  on the command line they are named, not positional
    project: Annotated[int | None, typer.Option(help="The project's number in Label Studio.")] = None,
    create: Annotated[
        str | None, typer.Option(help="Title of a project to make, unless there is one.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Labeling config: brush, bitmask, polygon, boxes, words or video.",
            autocompletion=options.templates,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="A label, of a new project or one more of an existing one; several times."),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="This service's address as Label Studio sees it; http://localhost:PORT."),
    ] = None,
    import_: Annotated[
        list[Path] | None, typer.Option("--import", help="A file or folder to upload; several times.")
    ] = None,
) -> None:
    """Set up a Label Studio project so that a click gives a mask. Done twice, it changes nothing."""
    from label_studio_sam2.commands import connect as command
    from label_studio_sam2.doctor.connect import Wish

    wish = Wish(project, create, template, tuple(label or ()), backend, tuple(import_ or ()))
    raise typer.Exit(command.run(Settings(), wish))


def doctor(
    project: Annotated[int | None, typer.Option(help="Look at this project only.")] = None,
    service: Service = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Look at all projects, not the ten newest alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Say why no mask appears: one line a check, and what to do. The exit code is 1 where there is a problem."""
    from label_studio_sam2.commands import doctor as command

    raise typer.Exit(command.run(Settings(), project=project, address=service, every=every, as_json=as_json))


def warm(project: Project, service: Service = None) -> None:
    """Have the running service encode a project's pictures ahead, so that no first click waits for it."""
    from label_studio_sam2.commands import warm as command

    raise typer.Exit(command.run(Settings(), project, service))


def predict(
    project: Project,
    service: Service = None,
    *,
    everything: Annotated[
        bool, typer.Option("--everything", help="Find every object where a task carries no boxes or clicks.")
    ] = False,
    find: Annotated[
        bool, typer.Option("--find", help="Find what the project's labels name, where it carries none.")
    ] = False,
    words: Annotated[
        str | None,
        typer.Option(help='Find these instead: "red car, van", or with their label "Car: red car, van".'),
    ] = None,
    like: Annotated[
        bool,
        typer.Option(
            "--like", help="On tasks without an annotation, find what is like what was accepted on others."
        ),
    ] = False,
) -> None:
    """Have the running service store masks for a project's tasks that have none of this model version."""
    from label_studio_sam2.commands import predict as command

    asked = {"everything": everything, "find": find, "words": words, "like": like}
    raise typer.Exit(command.run(Settings(), project, service, **asked))


def fit(project: Project, service: Service = None) -> None:
    """Have the running service tune the model to what annotators accepted in a project.

    It answers with the new version from its next click on if that is better;
    the exit code is 1 where no better version came of it.
    """
    from label_studio_sam2.commands import fit as command

    raise typer.Exit(command.run(Settings(), project, service))
