"""The commands for what is kept: checkpoints and tuned versions."""

from __future__ import annotations

from typing import Annotated

import typer

from label_studio_sam2.cli import options
from label_studio_sam2.cli.options import AsJson, Service
from label_studio_sam2.settings import Settings

Offline = Annotated[
    bool, typer.Option("--offline", help="Read MODEL_CACHE itself: where no service runs, on its machine.")
]

models_app = typer.Typer(help="Checkpoints and detectors: list, download, verify.", no_args_is_help=True)
versions_app = typer.Typer(
    help="Versions that are tuned to a project: list, use, roll back.", no_args_is_help=True
)


@versions_app.command("list")
def versions_list(
    project: Annotated[int | None, typer.Option(help="Only this project's.")] = None,
    service: Service = None,
    *,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Show the tuned versions, which are in use, and why."""
    from label_studio_sam2.commands import versions as command

    command.show(command.Asked(Settings(), service, offline=offline), project, as_json=as_json)


@versions_app.command("use")
def versions_use(
    project: Annotated[int, typer.Argument(help="The project's number.", min=1)],
    version: Annotated[int, typer.Argument(help="The version's number; 0 is the base model.", min=0)],
    service: Service = None,
    *,
    offline: Offline = False,
) -> None:
    """Answer a project's clicks by this version from now on."""
    from label_studio_sam2.commands import versions as command

    command.use(command.Asked(Settings(), service, offline=offline), project, version or None)


@versions_app.command("rollback")
def versions_rollback(
    project: Annotated[int, typer.Argument(help="The project's number.", min=1)],
    service: Service = None,
    *,
    offline: Offline = False,
) -> None:
    """Go back to what answered a project's clicks before."""
    from label_studio_sam2.commands import versions as command

    command.rollback(command.Asked(Settings(), service, offline=offline), project)


@models_app.command("list")
def models_list(as_json: AsJson = False) -> None:
    """Show the published checkpoints and detectors, and which of them are here."""
    from label_studio_sam2.commands import models as command

    command.show(Settings().model_cache, as_json=as_json)


@models_app.command("download")
def models_download(
    name: Annotated[str, typer.Argument(help="A name from `models list`.", autocompletion=options.published)],
) -> None:
    """Download a checkpoint or detector into MODEL_CACHE, resuming an earlier try, and verify it."""
    from label_studio_sam2.commands import models as command
    from label_studio_sam2.outgoing.ways import Outgoing

    settings = Settings()
    command.fetch(name, settings.model_cache, Outgoing.of(settings))


@models_app.command("verify")
def models_verify() -> None:
    """Compare every checkpoint and detector in MODEL_CACHE with its published hash."""
    from label_studio_sam2.commands import models as command

    command.check(Settings().model_cache)
