"""A connection to Redis that never raises; while Redis is out, nobody waits for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Lock
from time import monotonic
from typing import TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 2.0

SLOW_SECONDS = 1.0
"""An answer that takes longer is the last one waited for, until Redis answers a ping faster."""

KEPT_IN_MEMORY = "Until it is back embeddings are kept in memory only, and each replica is for itself."

READ_BYTES = 1 << 20
"""Read from the socket at once, so that an embedding of 8 MiB doesn't arrive in 256 small pieces."""

ADVICE = {
    redis.AuthenticationError: "Put the right password into REDIS_URL (redis://:PASSWORD@host:6379/0).",
    redis.exceptions.OutOfMemoryError: "Give it a larger maxmemory, and maxmemory-policy allkeys-lru.",
}


class RedisLink:
    """One Redis by its URL, connected to when first asked. Safe to use from any thread.

    An outage is logged once when it begins and once when it ends. Between the two `attempt` answers None
    without asking; somebody has to call `revive` now and then.
    """

    def __init__(
        self,
        url: str,
        authorities: str = "",
        *,
        level: int = logging.WARNING,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        """`authorities`: certificates that are trusted besides the system's, as PEM. `level`: at which an outage is
        logged. `slow_seconds`: an answer that takes longer is the last one waited for."""
        self._level = level
        self._slow_seconds = slow_seconds
        self._troubles: dict[str, str] = {}
        self._lock = Lock()
        self._out = Event()
        self._client, self._address = _connect(url, authorities)
        if self._client is None:
            self._lose(
                "REDIS_URL is no redis://, rediss:// or unix:// URL. Special characters in its password have "
                "to be percent-encoded. Embeddings are kept in memory only."
            )

    @property
    def trouble(self) -> str | None:
        """One sentence on what is wrong and what to do, or None."""
        with self._lock:
            return next(iter(self._troubles.values()), None)

    def attempt(self, verb: str, call: Callable[[redis.Redis], T]) -> T | None:
        """What the call returns, or None where Redis is out or refuses. `verb` is what it is asked to do."""
        client = self._client  # `close` may take it away meanwhile
        if client is None or self._out.is_set():
            return None
        began = monotonic()
        try:
            result = call(client)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._lose(f"{self._address} can't be used ({_reason(error)}). {_advice(error)}{KEPT_IN_MEMORY}")
            return None
        except redis.RedisError as error:
            self._begin(verb, f"{self._address} refuses to {verb} ({_reason(error)}). {_advice(error)}")
            return None
        except Exception as error:  # noqa: BLE001  an answer that no Redis gives; whatever it is, it is a miss
            self._lose(
                f"{self._address} isn't a Redis ({type(error).__name__} upon {verb}). {KEPT_IN_MEMORY}"
            )
            return None
        self._end(verb, f"{self._address} agrees to {verb} again.")
        if monotonic() - began > self._slow_seconds:
            self._lose(
                f"{self._address} takes more than {self._slow_seconds:g} s to {verb}. {KEPT_IN_MEMORY}"
            )
        return result

    def revive(self) -> None:
        """Asks a Redis that is out whether it is back."""
        if self._client is None or not self._out.is_set():
            return
        began = monotonic()
        try:
            pong = self._client.ping()
        except Exception:  # noqa: BLE001  as above
            return
        if pong is not True or monotonic() - began > self._slow_seconds:
            return
        self._out.clear()
        self._end("answer", f"{self._address} answers again.")

    def close(self) -> None:
        """Disconnects; nothing is attempted from here on."""
        self._out.set()
        if self._client is not None:
            self._client.close()
            self._client = None

    def _lose(self, message: str) -> None:
        self._out.set()
        self._begin("answer", message)

    def _begin(self, verb: str, message: str) -> None:
        with self._lock:
            known = verb in self._troubles
            self._troubles[verb] = message
        if not known:
            log.log(self._level, message)

    def _end(self, verb: str, message: str) -> None:
        with self._lock:
            known = self._troubles.pop(verb, None)
        if known:
            log.log(min(self._level, logging.INFO), message)


def _connect(url: str, authorities: str) -> tuple[redis.Redis | None, str]:
    """The client, not connected yet, and the address without its password; no client for a wrong URL."""
    try:
        parts = urlsplit(url)
        place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        trusted = {"ssl_ca_data": authorities} if parts.scheme == "rediss" and authorities else {}
        client = redis.Redis.from_url(
            url,
            **trusted,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            socket_read_size=READ_BYTES,
            retry=Retry(NoBackoff(), 0),  # a second wait for a silent server helps nobody
        )
    except ValueError:  # its text may quote a part of the password, so it is not passed on
        return None, ""
    return client, f"Redis at {parts.scheme}://{place}"


def _reason(error: redis.RedisError) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__


def _advice(error: redis.RedisError) -> str:
    return next((f"{advice} " for kind, advice in ADVICE.items() if isinstance(error, kind)), "")
