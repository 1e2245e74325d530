"""Where a task's medium is -> a file on this machine, fetched at most once.

    store = MediaStore(folder, LabelStudioClient(url, key), allowed_hosts={"minio"})
    file = store.fetch(task["data"]["image"], task_id=task["id"])
    pixels = pictures.read(file.path, max_pixels=..., name=file.url)

How fresh a file is: uploads to Label Studio and `data:` addresses can't change and are kept as long as
there is room; anything else is used without asking for `FRESH_SECONDS`, then its origin is asked whether it
changed.
"""

from __future__ import annotations

import base64
import binascii
import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Self
from urllib.parse import unquote_to_bytes

import httpx
from cachetools import LRUCache

from label_studio_sam2.errors import Busy, MediaUnreadable, TooLarge
from label_studio_sam2.flights import Flights, StillFlying
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media import addresses
from label_studio_sam2.labelstudio.media.addresses import Address
from label_studio_sam2.labelstudio.media.download import Download
from label_studio_sam2.labelstudio.media.holds import Hold
from label_studio_sam2.labelstudio.media.hosts import LabelStudioHost
from label_studio_sam2.labelstudio.media.media_cache import Draft, Entry, MediaCache, Validators
from label_studio_sam2.labelstudio.media.network import (
    LIMITS,
    Deadline,
    Guard,
    Limits,
    Resolve,
    resolve,
)
from label_studio_sam2.labelstudio.media.places import Places
from label_studio_sam2.labelstudio.media.ways import Ways
from label_studio_sam2.settings import Settings

log = logging.getLogger(__name__)

FRESH_SECONDS = 600.0
MAX_BYTES = 2048 << 20
CACHE_BYTES = 8 << 30
WAIT_SECONDS = 80.0
"""How long one request waits for another's download of the same file; Label Studio gives up after 100."""

DOWNLOADS = 12
"""From one host at once, with those who wait for another's."""

DOWNLOADS_IN_ALL = 36
"""Of some 64 threads that answer requests."""

MAX_ALIASES = 64


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A fetched medium: its file, the BLAKE2b hash of the file's bytes, and its address fit for messages.

    The file stays where it is as long as anybody refers to this.
    """

    path: Path
    digest: str
    url: str
    hold: Hold = field(compare=False, repr=False)


class MediaStore:
    """Fetches media and keeps them in `cache_dir`; threads may share one, and processes the folder.

    `allowed_hosts` are hosts (`minio`, `minio:9000`) that may be at a private address, besides Label
    Studio's. `aliases` are origins by which task data may call Label Studio, as the hostname that it tells
    in /setup.
    """

    def __init__(
        self,
        cache_dir: Path,
        label_studio: LabelStudioClient,
        *,
        allowed_hosts: Collection[str] = (),
        aliases: Collection[str] = (),
        max_bytes: int = MAX_BYTES,
        cache_bytes: int = CACHE_BYTES,
        limits: Limits = LIMITS,
        wait_seconds: float = WAIT_SECONDS,
        downloads: int = DOWNLOADS,
        resolve: Resolve = resolve,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._label_studio = label_studio
        self._configured = self._host = LabelStudioHost.of(label_studio.url, aliases)
        self._guard = Guard.allowing(allowed_hosts).and_origin(self._host.origin)
        self._cache = MediaCache(cache_dir, cache_bytes, now=now)
        self._max_bytes = max_bytes
        self._limits = limits
        self._wait_seconds = wait_seconds
        self._resolve = resolve
        self._flights = Flights[Entry]()
        self._places = Places(downloads, DOWNLOADS_IN_ALL)
        self._named: LRUCache[str, None] = LRUCache(MAX_ALIASES)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings, folder: Path, label_studio: LabelStudioClient) -> Self:
        """With the bounds that the settings name."""
        return cls(
            folder,
            label_studio,
            allowed_hosts=settings.media_allowed_hosts,
            aliases=[settings.label_studio_public_url] if settings.label_studio_public_url else (),
            max_bytes=settings.max_media_mb << 20,
            cache_bytes=settings.media_cache_mb << 20,
        )

    def recognise(self, hostname: str) -> None:
        """Note an origin by which task data may call Label Studio: the `hostname` of its /setup request.

        Anybody may send one, so of many the last count: Label Studio comes again. What was set stays.
        """
        with self._lock:
            if hostname not in self._named:
                self._named[hostname] = None
                self._host = reduce(LabelStudioHost.known_as, self._named, self._configured)
            self._named[hostname] = None

    def fetch(self, url: object, *, task_id: int | None = None) -> MediaFile:
        """The medium at a task's address; from the cache where it is there and fresh.

        Raises RequestError and MediaRefused for what isn't fetched, MediaUnavailable where it can't be had,
        TooLarge, and Busy while another request is still downloading it.
        """
        address = addresses.parse(url, self._host, task_id)
        key = MediaCache.key(address.identity)
        entry = self._cache.get(key)
        if entry is None or not self._fresh(address, entry):
            try:
                with self._places.taken(_asked_of(address)):
                    entry = self._flights.share(key, lambda: self._load(key, address), self._wait_seconds)
            except StillFlying as problem:
                raise Busy(
                    f"{address.shown} is still being downloaded for another request: try again soon."
                ) from problem
        return MediaFile(entry.path, entry.facts.digest, address.shown, entry.hold)

    def _fresh(self, address: Address, entry: Entry) -> bool:
        return address.immutable or self._cache.age(entry.facts) < FRESH_SECONDS

    def _load(self, key: str, address: Address) -> Entry:
        kept = self._cache.get(key)
        if kept is not None and self._fresh(address, kept):
            return kept  # whoever led before this one has just stored it
        started = time.monotonic()
        write = self._inline if address.url.startswith("data:") else self._downloaded
        try:
            entry = self._cache.store(key, lambda draft: write(address, draft, kept))
        except _NotModifiedError:
            assert kept is not None
            return self._cache.renew(key, kept)
        log.info(
            "fetched %s: %d bytes in %.2f s", address.shown, entry.facts.size, time.monotonic() - started
        )
        return entry

    def _downloaded(self, address: Address, draft: Draft, kept: Entry | None) -> Validators:
        deadline = Deadline(self._limits)
        download = Download(
            address,
            label_studio=self._label_studio,
            ways=Ways(self._guard, deadline, self._label_studio.outgoing, self._resolve),
            deadline=deadline,
            max_bytes=self._max_bytes,
            write=draft.write,
        )
        received = download.run(kept.facts.etag, kept.facts.last_modified) if kept else download.run()
        if not received.modified:
            raise _NotModifiedError
        return received.etag, received.last_modified

    def _inline(self, address: Address, draft: Draft, _: Entry | None) -> Validators:
        """A `data:` address, RFC 2397."""
        head, _comma, content = address.url.partition(",")
        if len(content) * 3 // 4 > self._max_bytes:
            raise TooLarge(f"{address.shown} is larger than MAX_MEDIA_MB allows.")
        try:
            raw = unquote_to_bytes(content)
            draft.write(_from_base64(raw) if head.lower().endswith(";base64") else raw)
        except binascii.Error as problem:
            raise MediaUnreadable(f"{address.shown} isn't valid base64 ({problem}).") from problem
        return "", ""


class _NotModifiedError(Exception):
    """What is kept is still the newest."""


def _asked_of(address: Address) -> str:
    """The host; "data" where the medium is in the address itself."""
    return "data" if address.url.startswith("data:") else httpx.URL(address.url).host


def _from_base64(raw: bytes) -> bytes:
    compact = b"".join(raw.split())
    return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
