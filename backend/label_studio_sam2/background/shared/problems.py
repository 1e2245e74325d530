"""The last problem of each project, as all replicas know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import redis

from label_studio_sam2.background.shared.store import SharedStore, name

KEPT_SECONDS = 7 * 86400
MOST = 1000

Project = int | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence for the person who can mend it, and when it happened (UTC)."""

    error: str
    detail: str
    at: datetime

    def written(self) -> bytes:
        return orjson.dumps([self.error, self.detail, self.at.isoformat()])

    @classmethod
    def parse(cls, value: Any) -> Trouble | None:
        try:
            error, detail, at = orjson.loads(value)
            return cls(str(error), str(detail), datetime.fromisoformat(at))
        except (ValueError, TypeError):
            return None


class SharedProblems:
    """By project."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def exchange(self, news: Mapping[Project, Trouble | None]) -> dict[Project, Trouble] | None:
        """All that there are, after these changed (None: there is none any more). None where Redis is out."""

        def exchange(client: redis.Redis) -> Any:
            pipeline = client.pipeline()
            for project, trouble in news.items():
                if trouble is None:
                    pipeline.hdel(name("problems"), _field(project))
                else:
                    pipeline.hset(name("problems"), _field(project), trouble.written())
            pipeline.expire(name("problems"), KEPT_SECONDS)
            pipeline.hgetall(name("problems"))
            return pipeline.execute()[-1]

        found = self._store.attempt("store", exchange)
        if found is None:
            return None
        parsed = {_project(field): Trouble.parse(value) for field, value in found.items()}
        return self._bounded({project: one for project, one in parsed.items() if one is not None})

    def _bounded(self, found: dict[Project, Trouble]) -> dict[Project, Trouble]:
        """The newest; the others go."""
        old = sorted(found, key=lambda project: found[project].at)[:-MOST]
        if old:
            self._store.attempt("store", lambda client: client.hdel(name("problems"), *map(_field, old)))
        return {project: one for project, one in found.items() if project not in old}


def _field(project: Project) -> str:
    return "" if project is None else str(project)


def _project(field: bytes) -> Project:
    return int(field) if field.isdigit() else None
