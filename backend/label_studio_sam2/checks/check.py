"""One line of what `doctor` and the status page say."""

from __future__ import annotations

from collections.abc import Callable
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
