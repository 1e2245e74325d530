"""One download over http(s): redirects, limits, ranges and keys, decided hop by hop.

httpcore and not httpx: each download has a network of its own (see `network`), whose deadline also ends an
answer that drips its headers.
"""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore
import httpx

from label_studio_sam2.errors import LabelStudioError, MediaError, MediaRefused, MediaUnavailable, TooLarge
from label_studio_sam2.labelstudio.addresses import Address, origin, with_host
from label_studio_sam2.labelstudio.client import LabelStudioClient
from label_studio_sam2.labelstudio.network import Deadline, GuardedNetwork

MAX_REDIRECTS = 5
INFLATE_BYTES = 1 << 20
ERROR_BODY_BYTES = 4096
USER_AGENT = "label-studio-sam2"
SIGN_IN = "/user/login"
REDIRECTS = {301, 302, 303, 307, 308}

_NETWORK_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    ssl.SSLError,
)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


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
        network: GuardedNetwork,
        deadline: Deadline,
        max_bytes: int,
        write: Callable[[bytes], None],
    ) -> None:
        self._address = address
        self._label_studio = label_studio
        self._network = network
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._write = write
        self._size = 0
        self._total: int | None = None
        self._received = Received(modified=True)

    def run(self, etag: str = "", last_modified: str = "") -> Received:
        """Fetch what is there, unless it is still what these validators (empty: none) were given for.

        An answer that covers a part (Label Studio's proxy sends 8 MB at a time) or breaks off on its way is
        continued where it ended.
        """
        asked = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {name: value for name, value in asked.items() if value}
        pool = httpcore.ConnectionPool(ssl_context=self._label_studio.tls, network_backend=self._network)
        with pool:
            while self._part(pool, headers):
                headers = self._continuation()
        return self._received

    def _part(self, pool: httpcore.ConnectionPool, headers: Mapping[str, str]) -> bool:
        """One answer's worth; whether more has to be asked for."""
        before = self._size
        with self._answer(pool, headers) as (response, url):
            if response.status == 304 and headers and not before:
                self._received = Received(modified=False)
                return False
            sent = httpx.Headers(response.headers)
            self._begin(response, sent, url)
            encoding = sent.get("content-encoding", "identity").lower()
            try:
                for chunk in self._decoded(response, encoding):
                    self._take(chunk)
            except (httpcore.ReadError, httpcore.RemoteProtocolError) as problem:
                if self._size == before or encoding != "identity" or self._total is None:
                    raise MediaUnavailable(f"{self._shown} broke off before its end: try again.") from problem
            return self._total is not None and self._size < self._total and self._went_on(before)

    def _went_on(self, before: int) -> bool:
        if self._size == before:
            raise MediaUnavailable(f"{self._shown} broke off before its end: try again.")
        return True

    def _continuation(self) -> dict[str, str]:
        validator = self._received.etag or self._received.last_modified
        weak = validator.startswith("W/")
        return {
            "Range": f"bytes={self._size}-",
            **({"If-Range": validator} if validator and not weak else {}),
        }

    @contextmanager
    def _answer(
        self, pool: httpcore.ConnectionPool, headers: Mapping[str, str]
    ) -> Iterator[tuple[httpcore.Response, httpx.URL]]:
        """The answer at the end of the redirects, unread."""
        url, authorised, refused = httpx.URL(self._address.url), self._address.authorised, None
        hops = 0
        while hops <= MAX_REDIRECTS:
            key = self._authorization(refused) if authorised else None
            with self._request(pool, url, headers, key) as response:
                if response.status == 401 and key and refused is None and self._authorization(key) != key:
                    refused = key
                    continue
                target = self._redirect(response, url, authorised=authorised)
                if target is None:
                    yield response, url
                    return
            authorised = authorised and origin(target) == origin(url)
            url = target
            hops += 1
        raise MediaUnavailable(f"{self._shown} redirects more than {MAX_REDIRECTS} times.")

    def _redirect(self, response: httpcore.Response, url: httpx.URL, *, authorised: bool) -> httpx.URL | None:
        location = httpx.Headers(response.headers).get("location", "")
        if response.status not in REDIRECTS or not location:
            return None
        try:
            target = with_host(url.join(location))
        except httpx.InvalidURL as problem:
            raise MediaUnavailable(
                f"{self._shown} redirects to something that isn't an address."
            ) from problem
        if target.scheme not in {"http", "https"} or not target.host:
            raise MediaRefused(f"{self._shown} redirects to an address that isn't http(s).")
        if authorised and SIGN_IN in target.path:
            raise MediaUnavailable(self._label_studio.refusal(401, "", self._shown))
        if authorised and target.raw_path == url.raw_path and origin(target) != origin(url):
            raise MediaUnavailable(
                f"Label Studio redirects {self._shown} to {target.scheme}://{target.netloc.decode()}: "
                "set LABEL_STUDIO_URL to that."
            )
        return target

    def _authorization(self, refused: str | None) -> str | None:
        try:
            return self._label_studio.key.authorization(refused)
        except LabelStudioError as problem:
            raise MediaUnavailable(problem.detail) from problem

    @contextmanager
    def _request(
        self, pool: httpcore.ConnectionPool, url: httpx.URL, headers: Mapping[str, str], key: str | None
    ) -> Iterator[httpcore.Response]:
        limits = self._deadline.limits
        sent = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": USER_AGENT,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
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
            with pool.stream(
                "GET", target, headers=list(sent.items()), extensions={"timeout": seconds}
            ) as response:
                yield response
        except _NETWORK_ERRORS as problem:
            raise MediaUnavailable(self._failure(url, problem)) from problem

    def _begin(self, response: httpcore.Response, headers: httpx.Headers, url: httpx.URL) -> None:
        """Check that this answer is the next part of the medium, and learn how much there is."""
        if response.status not in {200, 206}:
            raise self._refusal(response, url)
        etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
        if self._size == 0:
            self._received = Received(True, etag, modified)
        start, self._total = _extent(response.status, headers)
        if start != self._size or etag != self._received.etag:
            raise MediaUnavailable(
                f"{self._shown} changed while it was fetched, or can't be continued: try again."
            )
        if self._total is not None and self._total > self._max_bytes:
            raise self._too_large()

    def _decoded(self, response: httpcore.Response, encoding: str) -> Iterator[bytes]:
        chunks = self._counted(response)
        if encoding == "identity":
            return chunks
        if encoding in {"gzip", "x-gzip", "deflate"}:
            return _inflated(chunks)
        raise MediaUnavailable(
            f"{self._shown} is sent with the content encoding {encoding}, which isn't supported."
        )

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

    def _refusal(self, response: httpcore.Response, url: httpx.URL) -> MediaError:
        own = self._address.authorised and origin(url) == origin(httpx.URL(self._address.url))
        status = response.status
        if own and status in {401, 403}:
            body = next(iter(response.iter_stream()), b"")[:ERROR_BODY_BYTES].decode(errors="replace")
            return MediaUnavailable(self._label_studio.refusal(status, body, self._shown))
        if own and status == 404:
            return MediaUnavailable(
                f"Label Studio has no {self._shown} (404): the file was deleted, or no storage connected to "
                "the task's project holds it."
            )
        if status in {401, 403}:
            return MediaUnavailable(
                f"{url.host} answers {status} for {self._shown}: it wants credentials that this service "
                "doesn't have. Connect it to Label Studio as a storage, or make it readable."
            )
        return MediaUnavailable(
            f"{url.host} answers {status} for {self._shown}: check the address in the task."
        )

    def _failure(self, url: httpx.URL, problem: Exception) -> str:
        own = self._label_studio.url and origin(url) == origin(httpx.URL(self._label_studio.url))
        if isinstance(problem, httpcore.ConnectError | httpcore.ConnectTimeout):
            if own:
                return self._label_studio.unreachable(problem)
            return f"{url.host} can't be reached for {self._shown} ({_reason(problem)})."
        if isinstance(problem, httpcore.TimeoutException):
            return f"{url.host} sends {self._shown} too slowly, or not at all: see whether it is overloaded."
        return f"{url.host} broke the connection for {self._shown} ({_reason(problem)}): try again."

    @property
    def _shown(self) -> str:
        return self._address.shown


def _extent(status: int, headers: httpx.Headers) -> tuple[int, int | None]:
    """Where an answer's bytes start in the medium, and the medium's whole size where it is told."""
    if status == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None:
            return 0, None
        return int(match[1]), None if match[3] == "*" else int(match[3])
    length = headers.get("content-length", "")
    plain = headers.get("content-encoding", "identity").lower() == "identity"
    return 0, int(length) if length.isdecimal() and plain else None


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """gzip and zlib, a bounded piece at a time, so that a bomb is noticed while it is still small."""
    inflater = zlib.decompressobj(wbits=47)
    try:
        for chunk in chunks:
            piece = inflater.decompress(chunk, INFLATE_BYTES)
            while piece:
                yield piece
                piece = inflater.decompress(inflater.unconsumed_tail, INFLATE_BYTES)
    except zlib.error as problem:
        raise httpcore.RemoteProtocolError("damaged content encoding") from problem
    if not inflater.eof:
        raise httpcore.RemoteProtocolError("the content encoding ends early")


def _reason(problem: Exception) -> str:
    return str(problem) or type(problem).__name__
