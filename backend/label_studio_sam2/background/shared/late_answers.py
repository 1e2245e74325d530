"""Answers that came too late and can't be stored in Label Studio, for whichever replica is asked again."""

from __future__ import annotations

from collections.abc import Mapping

import redis

from label_studio_sam2.background.shared.store import SharedStore, name

KEPT_SECONDS = 3600
LARGEST = 8 << 20
"""Bytes of an answer that is shared; a larger one stays in the memory of the replica that made it."""

AT_ONCE = 16
"""Read in one go."""


class LateAnswers:
    """By what they answer."""

    def __init__(self, store: SharedStore) -> None:
        self._store = store

    def keep(self, key: str, entry: bytes) -> bool:
        """Whether it is kept for all."""
        if len(entry) > LARGEST:
            return False
        kept = self._store.attempt(
            "store", lambda client: client.set(name("late", key), entry, ex=KEPT_SECONDS)
        )
        return bool(kept)

    def take(self, keys: Mapping[int, str]) -> dict[int, bytes]:
        """What is kept of these, by its place; once."""
        found: dict[int, bytes] = {}
        asked = list(keys.items())
        for some in (asked[at : at + AT_ONCE] for at in range(0, len(asked), AT_ONCE)):
            names = [name("late", key) for _, key in some]

            def take(client: redis.Redis, names: list[str] = names) -> list[bytes | None]:
                pipeline = client.pipeline()
                pipeline.mget(names)
                pipeline.delete(*names)
                entries: list[bytes | None] = pipeline.execute()[0]
                return entries

            entries = self._store.attempt("read", take) or ()
            found |= {
                place: entry for (place, _), entry in zip(some, entries, strict=False) if entry is not None
            }
        return found
