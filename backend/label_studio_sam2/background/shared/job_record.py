"""What replicas tell each other of a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from label_studio_sam2.background.job import State, iso

Shown = dict[str, Any]
"""A job as GET /jobs shows it."""

Again = Mapping[str, Any]
"""What POST /jobs was asked with."""


class JobRecord(NamedTuple):
    """A job of a replica, when that told of it, and how it is begun again (None: it isn't); or as which other job it
    was begun again."""

    job: Shown
    replica: str = ""
    again: Again | None = None
    at: str | None = None
    moved: str = ""

    @classmethod
    def parse(cls, value: Any) -> JobRecord | None:
        try:
            record = cls(**orjson.loads(value or b""))
        except (ValueError, TypeError):
            return None
        return record if record.moved or {"id", "finished", "created"} <= record.job.keys() else None

    def written(self) -> bytes:
        return orjson.dumps(self._asdict(), default=str)

    @property
    def open(self) -> bool:
        """Whether the job hasn't ended."""
        return not self.moved and self.job["finished"] is None

    @property
    def asked(self) -> tuple[Any, Any]:
        """Which kind of work for which project."""
        again = self.again or {}
        return again.get("kind"), again.get("project")

    def shown(self, *, alive: bool) -> Shown:
        """`alive`: whether the replica is. A project's job of one that isn't waits for another replica."""
        if alive or not self.open:
            return self.job
        if self.again is not None:
            return self.job | {"state": State.QUEUED, "started": None}
        return self.job | {"state": State.INTERRUPTED, "finished": self.at}

    def ended(self, state: State, message: str = "") -> JobRecord:
        return self._replace(job=self.job | {"state": state, "message": message, "finished": now()})


def now() -> str | None:
    return iso(datetime.now(UTC))
