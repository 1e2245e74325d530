"""What a dead replica was doing for a whole project another one begins again: it skips what is done already."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Thread
from typing import Any

import redis

from label_studio_sam2.background.job import Job, State
from label_studio_sam2.background.shared.job_record import Again, JobRecord
from label_studio_sam2.background.shared.job_records import JobRecords
from label_studio_sam2.background.shared.store import SharedStore, name
from label_studio_sam2.errors import NotReady, known

log = logging.getLogger(__name__)

HEIR_SECONDS = 60
"""How long one replica alone tries to begin a job."""


class Heirs:
    """`begin` starts what POST /jobs asks for, and raises ServiceErrors."""

    def __init__(self, records: JobRecords, store: SharedStore, begin: Callable[[Again], Job]) -> None:
        self._records = records
        self._store = store
        self._begin = begin
        self._suspected: set[str] = set()
        store.each_pulse(self._look)

    def _look(self) -> None:
        if not self._store.settled:
            return
        begun = self._records.begun_elsewhere()
        living = self._store.living({one.replica for one in begun})
        dead = {one.replica for one in begun} - living
        dead, self._suspected = dead & self._suspected, dead  # two looks in a row
        for record in begun:
            if record.replica in dead and self._first(record.job["id"]):
                Thread(target=self._take_over, args=(record,), name="take over", daemon=True).start()

    def _first(self, job_id: str) -> bool:
        """Whether no other replica is at it."""

        def claim(client: redis.Redis) -> Any:
            return client.set(name("heir", job_id), self._store.replica, nx=True, ex=HEIR_SECONDS)

        return bool(self._store.attempt("store", claim))

    def _take_over(self, record: JobRecord) -> None:
        job_id = record.job["id"]
        try:
            self._records.replace(job_id, self._continued(record))
        except NotReady:  # as long as this replica isn't, it or another one will be
            self._store.attempt("store", lambda client: client.delete(name("heir", job_id)))

    def _continued(self, record: JobRecord) -> JobRecord:
        """What becomes of it. Raises NotReady."""
        assert record.again is not None
        if self._records.cancelled(record.job["id"]):
            return record.ended(State.CANCELLED)
        try:
            job = self._begin(record.again)
        except NotReady:
            raise
        except Exception as error:  # nobody waits here: whoever asks for the job is told
            log.warning("job %s can't be begun again", record.job["id"], exc_info=error)
            return record.ended(State.FAILED, known(error).detail)
        self._records.remember(job.id, record.again)
        log.info("job %s of another replica is begun again as %s", record.job["id"], job.id)
        return JobRecord({}, moved=job.id)
