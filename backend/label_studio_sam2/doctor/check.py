"""One line of what `doctor` and the status page say, and lines of one cause together."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

from label_studio_sam2.errors import ServiceError

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, one sentence on it, and the one thing to do where it stands badly.

    `project` is Label Studio's id where the check is about one project.
    """

    name: str
    state: State
    sentence: str
    remedy: str = ""
    project: int | None = None

    @classmethod
    def failed(cls, name: str, error: ServiceError, project: int | None = None) -> Check:
        """A problem in an error's own words: what follows its last colon or full stop is what to do."""
        sentence, mark, remedy = _split(error.detail)
        return cls(name, "problem", sentence + mark, remedy, project)


@dataclass(frozen=True, slots=True)
class Finding:
    """What several projects have in common: the first one's check, with `N` for the project's number in what to do, and
    the projects."""

    check: Check
    projects: tuple[int, ...]

    @property
    def remedy(self) -> str:
        return self.check.remedy if len(self.projects) < 2 else _of_any(self.check.remedy)


def findings(checks: Iterable[Check]) -> list[Finding]:
    """The checks in their order; those that say the same of several projects as one."""
    found: dict[Hashable, list[Check]] = {}
    for check in checks:
        found.setdefault(_cause(check), []).append(check)
    return [
        Finding(same[0], tuple(check.project for check in same if check.project is not None))
        for same in found.values()
    ]


def _cause(check: Check) -> Hashable:
    """What makes two checks the same: all but the project's number and the places that they name."""
    said = (re.sub(r"\S*/\S*", "", _of_any(text)) for text in (check.sentence, check.remedy))
    return (check.name, check.state, check.project is None, *said)


def _of_any(text: str) -> str:
    return re.sub(r"--project \d+", "--project N", text)


def checked(name: str, check: Callable[[], str], project: int | None = None) -> Check:
    """Fine, in the sentence that `check` returns, or failed in the words of the ServiceError that it raises."""
    try:
        return Check(name, "ok", check(), project=project)
    except ServiceError as error:
        return Check.failed(name, error, project)


def _split(detail: str) -> tuple[str, str, str]:
    colon, stop = detail.rfind(": "), detail.rfind(". ")
    at = max(colon, stop)
    if at < 0:
        return detail, "", ""
    remedy = detail[at + 2 :]
    return detail[:at], ".", remedy[:1].upper() + remedy[1:]
