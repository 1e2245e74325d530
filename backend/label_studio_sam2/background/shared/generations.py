"""Which track of an object is the newest, whichever replica it was asked of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import orjson
import redis

from label_studio_sam2.background.assignment import Assignment
from label_studio_sam2.background.shared.store import SharedStore, digest
from label_studio_sam2.background.shared.store import name as key_of

KEPT_SECONDS = 86400


class Newest(NamedTuple):
    """What an object was asked for with last, in which replica, and whether that one is done with it."""

    assignment: str
    replica: str
    ended: bool = False

    @classmethod
    def parse(cls, value: Any) -> Newest | None:
        try:
            return cls(*orjson.loads(value or b""))
        except (ValueError, TypeError):
            return None

    def written(self) -> bytes:
        return orjson.dumps(list(self))


class Generations:
    """Two replicas that are asked for the same both go on, each from what it has: a request may come to either again.
    One that is asked for something else makes the others' moot."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def begin(self, assignment: Assignment) -> None:
        """It was asked for just now, of this replica."""
        value = Newest(assignment.written, self._store.replica).written()

        def write(client: redis.Redis) -> None:
            pipeline = client.pipeline()
            for key in _keys(assignment):
                pipeline.set(key, value, ex=KEPT_SECONDS)
            pipeline.execute()

        self._store.attempt("store", write)

    def end(self, assignment: Assignment) -> None:
        """This replica is done with it."""
        begun = Newest(assignment.written, self._store.replica)
        for key in _keys(assignment):
            self._store.replace(key, begun.written(), begun._replace(ended=True).written(), KEPT_SECONDS)

    def over(self, assignments: Sequence[Assignment]) -> list[bool]:
        """Of each, whether something else was asked for since."""
        found = self._newest(assignments)
        return [
            any(one is not None and one.assignment != assignment.written for one in newest)
            for assignment, newest in zip(assignments, found, strict=True)
        ]

    def leads(self, assignment: Assignment) -> bool:
        """Whether this replica was asked for it last, so that it is the one to store it unless somebody waits; or who
        was isn't there any more."""
        (newest,) = self._newest([assignment])
        others = {one.replica for one in newest if one is not None} - {self._store.replica}
        return not (others and self._store.living(others))

    def followed(self, task: int | str | None, objects: Collection[str]) -> set[str]:
        """Those of a task's objects that another replica follows just now."""
        if task is None or not objects:
            return set()
        names = list(objects)
        newest = self._read([_key(task, f"object {one}") for one in names])
        begun = {name: one.replica for name, one in zip(names, newest, strict=True) if one and not one.ended}
        living = self._store.living(set(begun.values()))
        return {name for name, replica in begun.items() if replica in living}

    def _newest(self, assignments: Sequence[Assignment]) -> list[list[Newest | None]]:
        keys = [_keys(one) for one in assignments]
        found = iter(self._read([key for each in keys for key in each]))
        return [[next(found) for _ in each] for each in keys]

    def _read(self, keys: list[str]) -> list[Newest | None]:
        found = self._store.attempt("read", lambda client: client.mget(keys)) if keys else None
        return [Newest.parse(value) for value in found or [None] * len(keys)]


def _keys(assignment: Assignment) -> list[str]:
    return [_key(assignment.task, each) for each in assignment.objects]


def _key(task: int | str | None, object_: str) -> str:
    return key_of("run", digest((task, object_)))
