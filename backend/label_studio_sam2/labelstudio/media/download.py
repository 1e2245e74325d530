"""One download over http(s): redirects, limits, ranges and keys, decided hop by hop.

httpcore and not httpx: each download has a network of its own (see `network`), whose deadline also ends an
answer that drips its headers.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from label_studio_sam2.errors import LabelStudioError, MediaUnavailable, TooLarge
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.trying_again import PASSING, Patience
from label_studio_sam2.labelstudio.media import redirects
from label_studio_sam2.labelstudio.media.addresses import Address
from label_studio_sam2.labelstudio.media.body import codings, decoded, extent, told_end
from label_studio_sam2.labelstudio.media.cookies import Cookies
from label_studio_sam2.labelstudio.media.failures import failure, refusal
from label_studio_sam2.labelstudio.media.hosts import LabelStudioHost
from label_studio_sam2.labelstudio.media.network import Deadline
from label_studio_sam2.labelstudio.media.ways import Ways

MAX_REDIRECTS = 5
USER_AGENT = "label-studio-sam2"

_NETWORK_ERRORS = (
    httpcore.NetworkError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    ssl.SSLError,
)


@dataclass(frozen=True, slots=True)
class Received:
    """How a download ended: `modified` is False where the copy that was asked about is still the newest."""

    modified: bool
    etag: str = ""
    last_modified: str = ""


class Download:
    """Fetches one address into `write`; made for one use. Raises MediaError and TooLarge."""

    def __init__(
        self,
        address: Address,
        *,
        label_studio: LabelStudioClient,
        ways: Ways,
        deadline: Deadline,
        max_bytes: int,
        write: Callable[[bytes], None],
    ) -> None:
        self._address = address
        self._label_studio = label_studio
        self._host = LabelStudioHost.of(label_studio.url)
        self._ways = ways
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._write = write
        self._size = 0
        self._total: int | None = None
        self._endless = False
        self._patience = Patience()
        self._cookies = Cookies()
        self._received = Received(modified=True)

    def run(self, etag: str = "", last_modified: str = "") -> Received:
        """Fetch what is there, unless it is still what these validators (empty: none) were given for.

        An answer that covers a part (Label Studio's proxy sends 8 MB at a time) or breaks off on its way is
        continued where it ended; one that doesn't tell how much there is, until there is no more. A host that is busy
        is asked again.
        """
        asked = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in asked.items() if value}
        with self._ways:
            while self._part(headers):
                headers = self._continuation()
        return self._received

    def _part(self, headers: Mapping[str, str]) -> bool:
        """One answer's worth; whether more has to be asked for."""
        before = self._size
        with self._answer(headers) as (response, url):
            sent = httpx.Headers(response.headers)
            if response.status == 304 and headers and not before:
                self._received = Received(modified=False)
                return False
            if response.status == 416 and self._endless and told_end(sent) in {None, before}:
                return False
            self._begin(response, sent, url)
            packed_in = codings(sent)
            try:
                for chunk in decoded(self._counted(response), packed_in, self._shown):
                    self._take(chunk)
            except (httpcore.ReadError, httpcore.RemoteProtocolError) as problem:
                if self._size == before or packed_in or self._total is None:
                    raise self._broken_off() from problem
            more = self._endless or (self._total is not None and self._size < self._total)
            if more and self._size == before:
                raise self._broken_off()
            return more

    def _broken_off(self) -> MediaUnavailable:
        return MediaUnavailable(f"{self._shown} broke off before its end: try again.")

    def _continuation(self) -> dict[str, str]:
        validator = self._received.etag or self._received.last_modified
        weak = validator.startswith("W/")
        return {
            "Range": f"bytes={self._size}-",
            **({"If-Range": validator} if validator and not weak else {}),
        }

    @contextmanager
    def _answer(self, headers: Mapping[str, str]) -> Iterator[tuple[httpcore.Response, httpx.URL]]:
        """The answer at the end of the redirects, unread."""
        url, authorised, refused = httpx.URL(self._address.url), self._address.authorised, None
        hops = 0
        while hops <= MAX_REDIRECTS:
            key = self._authorization(refused) if authorised else None
            with self._request(url, headers, key) as response:
                if response.status == 401 and key and refused is None and self._authorization(key) != key:
                    refused = key
                    continue
                if (pause := self._pause(response)) is None:
                    self._cookies.take(url, httpx.Headers(response.headers))
                    target = redirects.target(
                        response, url, self._address, self._label_studio, authorised=authorised
                    )
                    if target is None:
                        yield response, url
                        return
                    authorised = authorised and self._host.serves_media_at(target)
                    url = target
                    hops += 1
            if pause is not None:
                time.sleep(pause)
        raise MediaUnavailable(f"{self._shown} redirects more than {MAX_REDIRECTS} times.")

    def _pause(self, response: httpcore.Response) -> float | None:
        """Seconds until a busy host is asked again; None where it isn't busy, or has been for too long."""
        if response.status not in PASSING:
            return None
        pause = self._patience.pause(httpx.Headers(response.headers))
        return pause if pause is not None and pause < self._deadline.left() else None

    def _authorization(self, refused: str | None) -> str | None:
        try:
            return self._label_studio.key.authorization(refused)
        except LabelStudioError as problem:
            raise MediaUnavailable(problem.detail) from problem

    @contextmanager
    def _request(
        self, url: httpx.URL, headers: Mapping[str, str], key: str | None
    ) -> Iterator[httpcore.Response]:
        limits = self._deadline.limits
        sent = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **self._cookies.header(url),
            **headers,
            **({"Authorization": key} if key else {}),
        }
        seconds = {
            "connect": limits.connect,
            "read": limits.read,
            "write": limits.read,
            "pool": limits.connect,
        }
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        try:
            with self._ways.to(url).stream(
                "GET", target, headers=list(sent.items()), extensions={"timeout": seconds}
            ) as response:
                yield response
        except _NETWORK_ERRORS as problem:
            raise failure(problem, url, self._address, self._label_studio, self._ways.proxy(url)) from problem

    def _begin(self, response: httpcore.Response, headers: httpx.Headers, url: httpx.URL) -> None:
        """Check that this answer is the next part of the medium, and learn how much there is."""
        if response.status not in {200, 206}:
            raise refusal(response, url, self._address, self._label_studio)
        etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
        if self._size == 0:
            self._received = Received(True, etag, modified)
        start, self._total = extent(response.status, headers)
        self._endless = response.status == 206 and self._total is None
        if start != self._size or etag != self._received.etag:
            raise MediaUnavailable(
                f"{self._shown} changed while it was fetched, or can't be continued: try again."
            )
        if self._total is not None and self._total > self._max_bytes:
            raise self._too_large()

    def _counted(self, response: httpcore.Response) -> Iterator[bytes]:
        for chunk in response.iter_stream():
            self._deadline.received += len(chunk)
            yield chunk

    def _take(self, chunk: bytes) -> None:
        if self._size + len(chunk) > self._max_bytes:
            raise self._too_large()
        self._write(chunk)
        self._size += len(chunk)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{self._shown} is larger than MAX_MEDIA_MB allows ({self._max_bytes / 2**20:.0f} MB)."
        )

    @property
    def _shown(self) -> str:
        return self._address.shown
