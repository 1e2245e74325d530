"""One flight a key: of all that ask for a thing at once, the first gets it, and the others get what it gets."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Lock
from typing import Generic, TypeVar

from label_studio_sam2.errors import NobodyWaits

V = TypeVar("V")


class StillFlying(Exception):
    """Somebody else is still getting it."""


class Flights(Generic[V]):
    """Safe to use from any thread. `joined` counts those who got what somebody else got."""

    def __init__(self) -> None:
        self.joined = 0
        self._flights: dict[Hashable, Future[V]] = {}
        self._lock = Lock()

    def share(
        self,
        key: Hashable,
        get: Callable[[], V],
        seconds: float | None = None,
        join: Callable[[], None] = lambda: None,
    ) -> V:
        """What `get` returns or raises, called by the first of those who ask at once; the next to ask calls it again.

        Whoever led may have landed a moment ago, so `get` looks first whether the thing is there by now. Who waits for
        somebody else calls `join` before; where who led has hung up, one of the others flies. Raises StillFlying where
        somebody else's flight takes longer than `seconds`.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                if leads := flight is None:
                    flight = self._flights[key] = Future()
                else:
                    self.joined += 1
            if leads:
                self._fly(key, get, flight)
                return flight.result()
            join()
            if not wait([flight], seconds).done:
                raise StillFlying
            with suppress(NobodyWaits):
                return flight.result()

    def _fly(self, key: Hashable, get: Callable[[], V], flight: Future[V]) -> None:
        try:
            value = get()
        except BaseException as error:  # noqa: BLE001  whatever it is, everybody who waits has to hear of it
            self._land(key)
            flight.set_exception(error)
        else:
            self._land(key)
            flight.set_result(value)

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]
