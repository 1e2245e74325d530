"""`versions`: the tuned versions of the projects, and which of them is in use."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from label_studio_sam2.engine.versions import Versions
from label_studio_sam2.settings import Settings


def opened(settings: Settings) -> Versions:
    return Versions(settings.model_cache / "versions")


def show(versions: Versions, project: int | None) -> None:
    """A line for each version."""
    table = Table("project", "version", "in use", "base", "tuned at", "masks", "one click", "why")
    for one in versions.all(project):
        ious = one.figures.get("held_out", {}).get("one click")
        table.add_row(
            str(one.project),
            str(one.number),
            "yes" if versions.active(one.project) == one.number else "",
            f"{one.base}-{one.base_hash[:8]}",
            one.created,
            str(one.counts.get("masks", "")),
            f"{ious['before']:.3f} -> {ious['after']:.3f}" if ious else "",
            one.reason,
        )
    Console().print(table if table.row_count else "No project has been tuned yet.")


def use(versions: Versions, project: int, number: int | None) -> None:
    """Answers the project's clicks by a version from now on; None: by the base model. Raises UnknownVersion."""
    versions.use(project, number)
    _say(project, number)


def rollback(versions: Versions, project: int) -> None:
    """Goes back to what was in use before. Raises UnknownVersion."""
    _say(project, versions.rollback(project))


def _say(project: int, number: int | None) -> None:
    what = "the base model" if number is None else f"version {number}"
    Console().print(f"Project {project} is answered by {what}.", highlight=False)
