"""`versions`: the tuned versions of the projects, and which of them is in use.

The running service is asked, as by every command; `offline` reads and writes MODEL_CACHE of this machine itself.
"""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape

from label_studio_sam2.commands.service import call
from label_studio_sam2.doctor.all_checks import service_client
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.settings import Settings
from label_studio_sam2.wording import counted

MINUTES = 16
"""Of a time in ISO 8601, up to its minutes."""


class Asked:
    """The versions of the service at `address` (default: PORT of this machine), or, `offline`, those in MODEL_CACHE."""

    def __init__(self, settings: Settings, address: str | None, *, offline: bool) -> None:
        self._settings, self._address = settings, address
        self._here = Versions(settings.model_cache / "versions") if offline else None

    def all(self) -> dict[str, Any]:
        """As GET /versions has them. Raises NotReady and Refused."""
        return self._here.overview() if self._here else self._call("GET")

    def use(self, project: int, number: int | None) -> None:
        """None: the base model. Raises UnknownVersion, NotReady, Refused."""
        if self._here:
            self._here.use(project, number)
        else:
            self._call("POST", json={"project": project, "use": number or 0})

    def rollback(self, project: int) -> int | None:
        """What is in use now. Raises UnknownVersion, NotReady, Refused."""
        if self._here:
            return self._here.rollback(project)
        used: int | None = self._call("POST", json={"project": project, "use": "previous"})["in_use"]
        return used

    def _call(self, method: str, **request: Any) -> dict[str, Any]:
        with service_client(self._settings, self._address) as http:
            return call(http, method, "/versions", **request)


def show(asked: Asked, project: int | None, *, as_json: bool) -> None:
    """Three lines a version, the newest of a project last."""
    found = asked.all()
    tuned = [one for one in found["tuned"] if project in {None, one["project"]}]
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        in_use = {str(one["project"]): found["in_use"].get(str(one["project"])) for one in tuned}
        console.print_json(json.dumps({"tuned": tuned, "in_use": in_use}))
        return
    for one in tuned:
        used = found["in_use"].get(str(one["project"])) == one["number"]
        title = f"Project {one['project']}, version {one['number']}{', in use' if used else ''}"
        console.print(f"[bold]{title}[/] ({escape(one['base'])}-{one['base_hash'][:8]})")
        console.print("  " + escape(", ".join(_figures(one))))
        console.print("  " + escape(one["reason"]))
    if not tuned:
        console.print("No project has been tuned yet." if project is None else f"Project {project} has none.")


def _figures(version: dict[str, Any]) -> list[str]:
    ious = version["figures"].get("held_out", {}).get("one click")
    masks = version["counts"].get("masks")
    return [
        *([f"one click {ious['before']:.3f} → {ious['after']:.3f}"] if ious else []),
        *([counted(masks, "mask")] if masks is not None else []),
        f"tuned {version['created'][:MINUTES].replace('T', ' ')} UTC",
    ]


def use(asked: Asked, project: int, number: int | None) -> None:
    """Answers the project's clicks by a version from now on; None: by the base model."""
    asked.use(project, number)
    _say(project, number)


def rollback(asked: Asked, project: int) -> None:
    """Goes back to what was in use before."""
    _say(project, asked.rollback(project))


def _say(project: int, number: int | None) -> None:
    what = "the base model" if number is None else f"version {number}"
    Console().print(f"Project {project} is answered by {what}.", highlight=False)
