"""By which names Label Studio is known: the `hostname` of each /setup, whichever replica it came to."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import time
from typing import Any

import redis

from label_studio_sam2.background.shared.store import SharedStore, name

KEPT_SECONDS = 30 * 86400
MOST = 64
LONGEST = 2000
"""Characters of one that is told to others."""


class Hosts:
    """`recognise` is told each that came here, at once, and those that came to other replicas, about a second later.
    They outlive a restart."""

    def __init__(self, recognise: Callable[[str], None], store: SharedStore) -> None:
        self._recognise = recognise
        self._store = store
        self._lock = Lock()
        self._untold: dict[str, float] = {}
        self._known: list[Any] = []
        store.each_pulse(self._exchange)

    def recognise(self, hostname: str) -> None:
        """Label Studio calls itself so."""
        self._recognise(hostname)
        if len(hostname) <= LONGEST:
            with self._lock:
                self._untold[hostname] = time()
                for oldest in list(self._untold)[:-MOST]:
                    del self._untold[oldest]
            self._store.soon()

    def _exchange(self) -> None:
        with self._lock:
            news, self._untold = self._untold, {}

        def exchange(client: redis.Redis) -> list[Any]:
            pipeline = client.pipeline()
            if news:
                pipeline.zadd(name("hosts"), dict(news))
                pipeline.zremrangebyrank(name("hosts"), 0, -MOST - 1)
            pipeline.expire(name("hosts"), KEPT_SECONDS)
            pipeline.zrange(name("hosts"), 0, -1)
            found: list[Any] = pipeline.execute()[-1]
            return found

        found = self._store.attempt("store", exchange)
        if found is None:
            with self._lock:
                self._untold = news | self._untold
        elif found != self._known:
            self._known = found
            for hostname in found:
                self._recognise(hostname.decode(errors="replace"))
