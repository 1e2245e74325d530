"""Tuned versions on disk: for each project its decoders, where they come from, and which one is in use.

    MODEL_CACHE/versions/project-12/v3.safetensors   the decoder's tensors, fp16
    MODEL_CACHE/versions/project-12/v3.json          its lineage; a version exists as soon as this does
    MODEL_CACHE/versions/project-12/v3.html          the report of the run
    MODEL_CACHE/versions/project-12/active.json      what is in use, and what was before
    MODEL_CACHE/versions/project-12/tried.json       how many annotations there were when it was tuned last

Files appear whole or not at all: each is written under another name first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning import decoders
from label_studio_sam2.engine.tuning.version import Verdict, Version, known_version, read_version
from label_studio_sam2.engine.tuning.whole_files import PART, locked, read_json, write
from label_studio_sam2.engine.turn import OnDevice, at_once
from label_studio_sam2.errors import CheckpointError, UnknownVersion

ACTIVE = "active.json"
TRIED = "tried.json"
MARK = 4
"""Digits of a version's hash in its name."""


KEPT_VERSIONS = 20
"""Of a project, besides the one in use: 8 MB and a report each."""


class Versions:
    """All versions below one folder, of each project the newest `kept` and the one in use; threads may share it, and
    processes the folder."""

    def __init__(self, folder: Path, kept: int = KEPT_VERSIONS) -> None:
        self._folder = folder
        self._kept = kept

    @contextmanager
    def training(self, project: int) -> Iterator[None]:
        """While a block runs, nobody else trains this project, in this process or another. Raises Busy."""
        with self._locked(project, "training.lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
            # Left by a run that was killed: nobody else writes now.
            for left in self._of(project).glob(f"v*{PART}"):
                left.unlink(missing_ok=True)
            yield

    def save(
        self,
        project: int,
        base: Model,
        decoder: nn.Module,
        verdict: Verdict,
        counts: Mapping[str, Any],
        *,
        by_label: Mapping[str, nn.Module] | None = None,
        on_device: OnDevice = at_once,
    ) -> Version:
        """Stores a decoder as the project's next version, without using it. Inside `training` only."""
        own = by_label or {}
        content = save_tensors(on_device(partial(decoders.halved, decoder, list(own.values()))))
        hashed = hashlib.sha256(content).hexdigest()
        version = Version(
            project,
            self.next(project),
            base.name,
            base.hash,
            hashed,
            verdict.accepted,
            verdict.reason,
            counts=counts,
            figures=verdict.figures,
            mark=hashed[:MARK],
            labels=list(own),
        )
        write(self._path(version, "safetensors"), content)
        write(self._path(version, "json"), json.dumps(asdict(version), indent=1).encode())
        self._prune(project)
        return version

    def next(self, project: int) -> int:
        """The number of the project's next version. Inside `training` it stays so until that is saved."""
        return self._newest(project) + 1

    def note_try(self, project: int, annotations: int) -> None:
        """Keeps, for all processes that share the folder, how many annotations the project had when it was tuned."""
        write(self._of(project) / TRIED, json.dumps({"annotations": annotations}).encode())

    def tried(self, project: int) -> int:
        """How many annotations the project had when it was tuned last; 0 where it never was."""
        content = read_json(self._of(project) / TRIED)
        noted = content.get("annotations") if isinstance(content, dict) else None
        if type(noted) is int:
            return noted
        last = self.latest(project)  # of a release that noted nothing
        return int(last.counts.get("annotations", 0)) if last else 0

    def add_report(self, version: Version, page: str) -> None:
        write(self._path(version, "html"), page.encode())

    def report(self, project: int, number: int) -> Path:
        """The report of a version's run. Raises UnknownVersion."""
        path = self._path(self.get(project, number), "html")
        if not path.is_file():
            raise UnknownVersion(f"The report of project {project}'s version {number} has been deleted.")
        return path

    def all(self, project: int | None = None) -> list[Version]:
        """A project's versions, or all, in their order. Files that are none are passed over."""
        pattern = "project-*" if project is None else f"project-{project}"
        read = (read_version(path) for path in self._folder.glob(f"{pattern}/v*.json"))
        return sorted(
            (version for version in read if version is not None), key=lambda v: (v.project, v.number)
        )

    def overview(self) -> dict[str, Any]:
        """All versions with their reports' routes, and which are in use, ready for JSON."""
        tuned = self.all()
        return {
            "tuned": [
                asdict(one) | {"name": one.name, "report": f"/reports/{one.project}/{one.number}"}
                for one in tuned
            ],
            "in_use": {str(project): self.active(project) for project in {one.project for one in tuned}},
        }

    def latest(self, project: int) -> Version | None:
        """A project's newest version, without reading the others; None where there is none, or it is damaged."""
        return read_version(self._of(project) / f"v{self._newest(project)}.json")

    def get(self, project: int, number: int) -> Version:
        """Raises UnknownVersion."""
        return known_version(self._of(project) / f"v{number}.json", project, number)

    def refused(self) -> dict[int, str]:
        """By project, why the version that it uses can't be read."""
        found: dict[int, str] = {}
        for folder in sorted(self._folder.glob("project-*")):
            number = folder.name.rpartition("-")[2]
            try:
                if number.isdecimal() and (used := self.active(int(number))) is not None:
                    self.get(int(number), used)
            except UnknownVersion as error:
                found[int(number)] = error.detail
        return found

    def use(self, project: int, number: int | None) -> None:
        """From now on the project's clicks are answered by this version; None: by the base model. Raises
        UnknownVersion."""
        if number is not None:
            self.get(project, number)
        with self._locked(project, "active.lock", fcntl.LOCK_EX):
            before = self._history(project)
            self._set(project, [*before, number] if before[-1] != number else before)

    def rollback(self, project: int) -> int | None:
        """Back to what was in use before; answers what is in use now. Raises UnknownVersion where nothing was."""
        with self._locked(project, "active.lock", fcntl.LOCK_EX):
            before = self._history(project)
            if len(before) < 2:
                raise UnknownVersion(f"Project {project} uses the base model, and never used anything else.")
            there = {None, *(version.number for version in self.all(project))}
            left = before[:-1]
            while left[-1] not in there:  # deleted since, for room
                left.pop()
            self._set(project, left)
            return left[-1]

    def stamp(self, project: int) -> object | None:
        """Changes whenever something else is chosen for a project; None where nothing ever was. One stat."""
        try:
            found = (self._of(project) / ACTIVE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def active(self, project: int) -> int | None:
        """The number of the version in use; None: the base model."""
        return self._history(project)[-1]

    def load(self, base: Model, version: Version, on_device: OnDevice = at_once) -> Model:
        """The base with a version's decoder. Raises CheckpointError where it is damaged or of another base."""
        name = f"Version {version.number} of project {version.project}"
        if version.base_hash != base.hash:
            raise CheckpointError(
                f"{name} was tuned from {version.base}-{version.base_hash[:8]}, not from {base.version}. Tune the "
                "project again, or set MODEL back."
            )
        path = self._path(version, "safetensors")
        try:
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != version.sha256:
                raise CheckpointError(f"{name} is damaged: {path} has another hash. Tune the project again.")
            stored = load_tensors(content)
            parts = ["", *(f"{place}/" for place in range(len(version.labels)))]
            decoder, *own = (on_device(partial(decoders.taught, base, stored, part)) for part in parts)
            return base.tuned(decoder, version.name, dict(zip(version.labels, own, strict=True)))
        except (OSError, KeyError, SafetensorError, RuntimeError) as error:
            raise CheckpointError(f"{name} can't be read from {path}. Tune the project again.") from error

    def _locked(self, project: int, name: str, how: int) -> AbstractContextManager[None]:
        busy = f"Project {project} is being tuned already. Wait for it, or cancel its job."
        return locked(self._of(project) / name, how, busy)

    def _prune(self, project: int) -> None:
        """Deletes all but the newest versions and the one in use."""
        for version in self.all(project)[: -self._kept]:
            if version.number != self.active(project):
                for suffix in ("json", "html", "safetensors"):
                    self._path(version, suffix).unlink(missing_ok=True)

    def _newest(self, project: int) -> int:
        """By the files' names; 0 where there is none."""
        numbers = (path.stem[1:] for path in self._of(project).glob("v*.json"))
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def _history(self, project: int) -> list[int | None]:
        """What was in use, the last entry is in use now; it begins with the base model."""
        content = read_json(self._of(project) / ACTIVE)
        used = content.get("used") if isinstance(content, dict) else None
        valid = isinstance(used, list) and all(one is None or type(one) is int for one in used)
        return [None, *(used or [])] if valid else [None]

    def _set(self, project: int, history: list[int | None]) -> None:
        write(self._of(project) / ACTIVE, json.dumps({"used": history[1:]}).encode())

    def _of(self, project: int) -> Path:
        return self._folder / f"project-{project}"

    def _path(self, version: Version, suffix: str) -> Path:
        return self._of(version.project) / f"v{version.number}.{suffix}"
