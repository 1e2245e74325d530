"""`models`: the published checkpoints and detectors, and what of them is on this disk."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from label_studio_sam2.engine.checkpoints import CHECKPOINTS, Checkpoint, download, verify
from label_studio_sam2.engine.checkpoints import Progress as Told
from label_studio_sam2.engine.words import published as detectors
from label_studio_sam2.engine.words.published import DETECTORS, Published
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import Outgoing


def show(folder: Path, *, as_json: bool) -> None:
    """A line for each published checkpoint and detector."""
    here = {name: path.exists() for name, (path, _) in _files(folder).items()}
    published: list[Checkpoint | Published] = [*CHECKPOINTS.values(), *DETECTORS.values()]
    if as_json:
        rows = [
            {"name": one.name, "bytes": one.size, "sha256": one.sha256, "here": here[one.name]}
            for one in published
        ]
        Console(soft_wrap=True).print_json(json.dumps({"folder": str(folder), "models": rows}))
        return
    table = Table("name", "for", "MB", "SHA-256", "in " + str(folder))
    for one in published:
        setting = "MODEL" if one.name in CHECKPOINTS else "DETECTOR"
        said = "yes" if here[one.name] else "no"
        table.add_row(one.name, setting, f"{one.size / 1e6:.0f}", one.sha256[:16], said)
    table.add_row("demo", "both", "", "", "in the package: for trying out, not for photos")
    Console().print(table)


def fetch(name: str, folder: Path, outgoing: Outgoing) -> None:
    """Downloads with a progress bar; does nothing where the file is there. Raises CheckpointError."""
    if name not in {**CHECKPOINTS, **DETECTORS}:
        raise CheckpointError(
            f"There is no checkpoint {name}. Choose from {', '.join([*CHECKPOINTS, *DETECTORS])}."
        )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        bar = progress.add_task(name, total=None)
        path = _fetched(
            name, folder, lambda done, total: progress.update(bar, completed=done, total=total), outgoing
        )
    Console().print(f"{path} is the published {name}.", highlight=False)


def check(folder: Path) -> None:
    """Verifies every published file that is here. Raises CheckpointError at the first that differs."""
    here = [(path, published) for path, published in _files(folder).values() if path.exists()]
    for path, published in here:
        verify(path, published)
        Console(soft_wrap=True).print(f"{path.relative_to(folder)}: as published", highlight=False)
    if not here:
        Console().print(f"{folder} holds no published checkpoint.", highlight=False)


def _files(folder: Path) -> dict[str, tuple[Path, Checkpoint]]:
    """By name, where the file that is verified belongs, and what was published; of a detector, its weights."""
    checkpoints = {name: (folder / one.file, one) for name, one in CHECKPOINTS.items()}
    weights = {name: one.weights for name, one in DETECTORS.items()}
    return checkpoints | {
        name: (DETECTORS[name].folder(folder) / one.file, one) for name, one in weights.items()
    }


def _fetched(name: str, folder: Path, told: Told, outgoing: Outgoing) -> Path:
    """The verified file or folder. Raises CheckpointError."""
    if name in DETECTORS:
        return detectors.fetch(DETECTORS[name], folder, told, outgoing)
    path = download(CHECKPOINTS[name], folder, told, outgoing)
    verify(path, CHECKPOINTS[name])
    return path
