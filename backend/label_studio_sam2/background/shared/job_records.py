"""The jobs of all replicas: each may be seen and cancelled at any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from threading import Lock
from typing import Any

import orjson
import redis

from label_studio_sam2.background.jobs import Jobs, unknown
from label_studio_sam2.background.shared.job_record import Again, JobRecord, Shown, now
from label_studio_sam2.background.shared.store import SharedStore, name
from label_studio_sam2.errors import UnknownJob

ENDED_SECONDS, BEGUN_SECONDS = 3600, 86400

MOST = 200
"""Jobs of all replicas that are listed."""

MOST_MOVES = 10
"""How often a job may have been begun again to be found by its first name."""


class JobRecords:
    """Of this replica the jobs themselves, of the others what they told about a second ago."""

    def __init__(self, jobs: Jobs, store: SharedStore) -> None:
        self._jobs = jobs
        self._store = store
        self._again: dict[str, Again] = {}
        self._told: dict[str, bytes] = {}
        self._lost: set[str] = set()
        self._lock = Lock()
        store.each_pulse(self._look)

    def all(self) -> list[Shown]:
        """The newest first."""
        own = self._own()
        ids = self._store.attempt("read", lambda client: client.zrange(name("jobs"), 0, -1)) or []
        mine = {job["id"] for job in own}
        others = self._shown(one for one in self._read(_texts(ids)) if one.job["id"] not in mine)
        return sorted([*own, *others], key=lambda job: str(job["created"]), reverse=True) if others else own

    def get(self, job_id: str) -> Shown:
        """Raises UnknownJob."""
        return self._mine(job_id) or self._shown([self._record(job_id)])[0]

    def cancel(self, job_id: str) -> Shown:
        """Asks a job to stop; another replica hears of it within a second or two. Raises UnknownJob."""
        if self._mine(job_id):
            return self._jobs.cancel(job_id)
        record = self._record(job_id)
        found = str(record.job["id"])
        if self._mine(found):
            return self._jobs.cancel(found)
        if record.open:
            self._store.attempt(
                "store", lambda client: client.set(name("cancel", found), 1, ex=BEGUN_SECONDS)
            )
        return self._shown([record])[0]

    def cancelled(self, job_id: str) -> bool:
        """Whether a job was asked to stop at a replica that doesn't run it."""
        return bool(self._store.attempt("read", lambda client: client.get(name("cancel", job_id))))

    def running(self, kind: str, project: int) -> Shown | None:
        """The job of another replica that does this for a project just now."""
        asked = [one for one in self.begun_elsewhere() if one.asked == (kind, project)]
        living = self._store.living({one.replica for one in asked})
        return next((one.job for one in asked if one.replica in living), None)

    def begun_elsewhere(self) -> list[JobRecord]:
        """Jobs of other replicas, alive or dead, that haven't ended and can be begun again."""
        ids = self._store.attempt("read", lambda client: client.smembers(name("begun"))) or set()
        return [one for one in self._read(_texts(ids)) if one.open and one.replica != self._store.replica]

    def remember(self, job_id: str, again: Again) -> Shown:
        """Has others know of a job of this replica now, and how it is begun again where this one dies."""
        with self._lock:
            self._again[job_id] = again
        shown = self._jobs.get(job_id)
        self._tell([shown])
        return shown

    def replace(self, job_id: str, record: JobRecord) -> None:
        """Tells something else of another replica's job."""
        with self._lock:
            self._write({job_id: record})

    def _own(self) -> list[Shown]:
        return [job for job in self._jobs.list() if job["id"] not in self._lost]

    def _mine(self, job_id: str) -> Shown | None:
        try:
            return None if job_id in self._lost else self._jobs.get(job_id)
        except UnknownJob:
            return None

    def _record(self, job_id: str) -> JobRecord:
        """What is told of a job, or of what it was begun again as. Raises UnknownJob."""
        at = job_id
        for _ in range(MOST_MOVES):
            found = self._read([at], moved=True)
            if found and not found[0].moved:
                return found[0]
            at = found[0].moved if found else ""
        raise unknown(job_id)

    def _read(self, ids: Iterable[str], *, moved: bool = False) -> list[JobRecord]:
        records = (JobRecord.parse(value) for value in self._values("job", ids))
        return [one for one in records if one is not None and (moved or not one.moved)]

    def _values(self, what: str, ids: Iterable[str]) -> list[Any]:
        keys = [name(what, one) for one in ids]
        return (self._store.attempt("read", lambda client: client.mget(keys)) if keys else None) or []

    def _shown(self, records: Iterable[JobRecord]) -> list[Shown]:
        found = list(records)
        living = self._store.living({one.replica for one in found}) if found else set()
        return [one.shown(alive=one.replica in living) for one in found]

    def _look(self) -> None:
        self._give_up()
        own = self._own()
        self._tell(own)
        open_ones = [job["id"] for job in own if job["finished"] is None]
        for job_id, asked in zip(open_ones, self._values("cancel", open_ones), strict=False):
            if asked:
                self._cancel(job_id)

    def _give_up(self) -> None:
        """Leaves what another replica has begun again, while this one seemed dead."""
        mine = [job["id"] for job in self._own() if job["id"] in self._again and job["finished"] is None]
        for job_id, record in zip(mine, map(JobRecord.parse, self._values("job", mine)), strict=False):
            if record is not None and (record.moved or record.replica != self._store.replica):
                self._lost.add(job_id)
                self._cancel(job_id)

    def _cancel(self, job_id: str) -> None:
        with suppress(UnknownJob):
            self._jobs.cancel(job_id)

    def _tell(self, jobs: Iterable[Shown]) -> None:
        """What others don't know yet."""
        with self._lock:
            news: dict[str, JobRecord] = {}
            for job in jobs:
                written = orjson.dumps(job, default=str)
                if job["finished"] is None or self._told.get(job["id"]) != written:
                    self._told[job["id"]] = written
                    news[job["id"]] = JobRecord(job, self._store.replica, self._again.get(job["id"]), now())
            known = {job["id"] for job in self._jobs.list()}
            self._told = {one: written for one, written in self._told.items() if one in known}
            self._again = {one: again for one, again in self._again.items() if one in known}
            if news and not self._write(news):
                self._told = {one: written for one, written in self._told.items() if one not in news}

    def _write(self, news: Mapping[str, JobRecord]) -> bool:
        """Whether others can know of it."""

        def write(client: redis.Redis) -> bool:
            pipeline = client.pipeline(transaction=False)
            for job_id, record in news.items():
                lasting = record.open and record.again is not None
                pipeline.set(
                    name("job", job_id), record.written(), ex=BEGUN_SECONDS if lasting else ENDED_SECONDS
                )
                if record.moved:
                    pipeline.zrem(name("jobs"), job_id)
                else:
                    pipeline.zadd(name("jobs"), {job_id: _seconds(record.job["created"])})
                (pipeline.sadd if lasting else pipeline.srem)(name("begun"), job_id)
            pipeline.zremrangebyrank(name("jobs"), 0, -MOST - 1)
            for key in ("jobs", "begun"):
                pipeline.expire(name(key), BEGUN_SECONDS)
            pipeline.execute()
            return True

        return bool(self._store.attempt("store", write))


def _texts(values: Iterable[Any]) -> list[str]:
    return [value.decode() for value in values]


def _seconds(created: str) -> float:
    return datetime.fromisoformat(created).timestamp()
