"""The command line. Commands are thin: what they do lives in `commands/` and the use cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from label_studio_sam2 import __version__
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.masklets.format import Format
from label_studio_sam2.settings import Settings, prepare_process

app = typer.Typer(
    help="SAM 2 for Label Studio: a click or a box becomes a mask, a box on one frame a masklet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="The SAM 2.1 checkpoints: list, download, verify.", no_args_is_help=True)
app.add_typer(models_app, name="models")
versions_app = typer.Typer(
    help="Versions that are tuned to a project: list, use, roll back.", no_args_is_help=True
)
app.add_typer(versions_app, name="versions")


def main() -> None:
    """Runs a command; what somebody can mend is one sentence on standard error and exit code 1."""
    prepare_process()
    try:
        app()
    except ValidationError as error:
        wrong = "; ".join(f"{str(row['loc'][0]).upper()}: {row['msg']}" for row in error.errors())
        Console(stderr=True).print(f"[red]A setting is wrong[/]: {escape(wrong)}.", highlight=False)
        raise SystemExit(1) from error
    except ServiceError as error:
        Console(stderr=True).print(f"[red]{type(error).__name__}[/]: {escape(error.detail)}", highlight=False)
        raise SystemExit(1) from error


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """SAM 2 for Label Studio: a click or a box becomes a mask, a box on one frame a masklet."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (PORT).")] = None,
    model: Annotated[str | None, typer.Option(help="demo, a checkpoint's name, or a path (MODEL).")] = None,
) -> None:
    """Run the backend until it is told to stop."""
    given = {"host": host, "port": port, "model": model}
    settings = Settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    from label_studio_sam2.commands import serve as command

    command.run(settings)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out")) -> None:
    """Start a service with the demo model, send it real clicks and a real video over HTTP, and draw what it answers."""
    from label_studio_sam2.commands import demo as command

    command.run(out)


@app.command()
def connect(  # noqa: PLR0917  on the command line they are named, not positional
    project: Annotated[int | None, typer.Option(help="The project's number in Label Studio.")] = None,
    create: Annotated[
        str | None, typer.Option(help="Title of a project to make, unless there is one.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Labeling config: brush, bitmask, polygon, boxes or video.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="A label of the template; several times.")] = None,
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
    from label_studio_sam2.connect import Wish
    from label_studio_sam2.labelstudio.templates import LABELS

    wish = Wish(project, create, template, tuple(label or LABELS), backend, tuple(import_ or ()))
    raise typer.Exit(command.run(Settings(), wish))


@app.command()
def doctor(
    project: Annotated[int | None, typer.Option(help="Look at this project only.")] = None,
    service: Annotated[
        str | None, typer.Option(help="Where the service answers, seen from here; http://localhost:PORT.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Say why no mask appears: one line a check, and what to do. The exit code is 1 where there is a problem."""
    from label_studio_sam2.commands import doctor as command

    raise typer.Exit(command.run(Settings(), project=project, address=service, as_json=as_json))


@app.command()
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


@versions_app.command("list")
def versions_list(
    project: Annotated[int | None, typer.Option(help="Only this project's.")] = None,
) -> None:
    """Show the tuned versions, which are in use, and why."""
    from label_studio_sam2.commands import versions as command

    command.show(command.opened(Settings()), project)


@versions_app.command("use")
def versions_use(
    project: Annotated[int, typer.Argument(help="The project's id.")],
    version: Annotated[int, typer.Argument(help="The version's number; 0 is the base model.", min=0)],
) -> None:
    """Answer a project's clicks by this version from now on."""
    from label_studio_sam2.commands import versions as command

    command.use(command.opened(Settings()), project, version or None)


@versions_app.command("rollback")
def versions_rollback(project: Annotated[int, typer.Argument(help="The project's id.")]) -> None:
    """Go back to what answered a project's clicks before."""
    from label_studio_sam2.commands import versions as command

    command.rollback(command.opened(Settings()), project)


Project = Annotated[int, typer.Option(min=1, help="The project's number, as its address shows it.")]
Service = Annotated[
    str | None, typer.Option(help="Where the service answers, seen from here; http://localhost:PORT.")
]


@app.command()
def warm(project: Project, service: Service = None) -> None:
    """Have the running service encode a project's pictures ahead, so that no first click waits for it."""
    from label_studio_sam2.commands import warm as command

    raise typer.Exit(command.run(Settings(), project, service))


@app.command()
def predict(
    project: Project,
    service: Service = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="Find every object where a task carries no boxes or clicks.")
    ] = False,
) -> None:
    """Have the running service store masks for a project's tasks that have none of this model version."""
    from label_studio_sam2.commands import predict as command

    raise typer.Exit(command.run(Settings(), project, service, everything=everything))


@app.command()
def fit(project: Project, service: Service = None) -> None:
    """Have the running service tune the model to what annotators accepted in a project.

    It answers with the new version from its next click on if that is better;
    the exit code is 1 where no better version came of it.
    """
    from label_studio_sam2.commands import fit as command

    raise typer.Exit(command.run(Settings(), project, service))


@models_app.command("list")
def models_list() -> None:
    """Show the published checkpoints, and which of them are here."""
    from label_studio_sam2.commands import models as command

    command.show(Settings().model_cache)


@models_app.command("download")
def models_download(name: Annotated[str, typer.Argument(help="A name from `models list`.")]) -> None:
    """Download a checkpoint into MODEL_CACHE, resuming an earlier try, and verify it."""
    from label_studio_sam2.commands import models as command

    command.fetch(name, Settings().model_cache)


@models_app.command("verify")
def models_verify() -> None:
    """Compare every checkpoint in MODEL_CACHE with its published hash."""
    from label_studio_sam2.commands import models as command

    command.check(Settings().model_cache)
