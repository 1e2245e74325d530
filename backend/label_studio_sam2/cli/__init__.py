"""The command line. Commands are thin: what they do lives in `commands/` and the use cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from label_studio_sam2 import __version__
from label_studio_sam2.cli import kept, options, projects
from label_studio_sam2.cli.export import export
from label_studio_sam2.cli.importing import import_
from label_studio_sam2.cli.masklets import masklets
from label_studio_sam2.errors import ServiceError
from label_studio_sam2.settings import Settings, prepare_process

app = typer.Typer(
    help="SAM 2 for Label Studio: a click or a box becomes a mask, a box on one frame a masklet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Runs a command; what somebody can mend is one sentence on standard error and exit code 1."""
    prepare_process()
    try:
        app()
    except ValidationError as error:
        wrong = "; ".join(f"{str(row['loc'][0]).upper()}: {row['msg']}" for row in error.errors())
        Console(stderr=True, soft_wrap=True).print(
            f"[red]A setting is wrong: {escape(wrong)}.[/]", highlight=False
        )
        raise SystemExit(1) from error
    except ServiceError as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]{escape(error.detail)}[/]", highlight=False)
        raise SystemExit(1) from error


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """SAM 2 for Label Studio: a click or a box becomes a mask, a box on one frame a masklet."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (PORT).")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="demo, a checkpoint's name, or a path (MODEL).", autocompletion=options.models_or_files
        ),
    ] = None,
) -> None:
    """Run the backend until it is told to stop."""
    given: dict[str, Any] = {"host": host, "port": port, "model": model}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    from label_studio_sam2.commands import serve as command

    command.run(settings)


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("out")) -> None:
    """Start a service with the demo model, send it real clicks and a real video over HTTP, and draw what it answers."""
    from label_studio_sam2.commands import demo as command

    command.run(out)


for command in (
    projects.connect,
    projects.doctor,
    projects.warm,
    projects.predict,
    projects.fit,
    export,
    masklets,
):
    app.command()(command)
app.command("import")(import_)
app.add_typer(kept.models_app, name="models")
app.add_typer(kept.versions_app, name="versions")
