"""Options that several commands share, and what completes them; where completion is asked for, torch isn't loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from label_studio_sam2.settings import DEMO

Project = Annotated[int, typer.Option(min=1, help="The project's number, as its address shows it.")]
Service = Annotated[
    str | None, typer.Option(help="Where the service answers, seen from here; http://localhost:PORT.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def templates(begun: str) -> list[str]:
    """The templates whose names begin like this."""
    from label_studio_sam2.labelstudio.config.templates import TEMPLATES

    return [name for name in TEMPLATES if name.startswith(begun)]


def checkpoints(begun: str) -> list[str]:
    """The published checkpoints whose names begin like this."""
    from label_studio_sam2.engine.checkpoints import CHECKPOINTS

    return [name for name in CHECKPOINTS if name.startswith(begun)]


def published(begun: str) -> list[str]:
    """And the detectors."""
    from label_studio_sam2.engine.words.published import DETECTORS

    return [*checkpoints(begun), *(name for name in DETECTORS if name.startswith(begun))]


def models_or_files(begun: str) -> list[str]:
    """What MODEL may be and begins like this."""
    names = [DEMO] if DEMO.startswith(begun) else []
    folder = Path(begun) if begun.endswith("/") else Path(begun).parent
    here = sorted(folder.iterdir()) if folder.is_dir() else []
    files = (str(path) for path in here if path.is_dir() or path.suffix in {".pt", ".safetensors"})
    return [*names, *checkpoints(begun), *(file for file in files if file.startswith(begun))]
