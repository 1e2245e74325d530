"""Why a medium can't be had, in a sentence for the person who can mend it."""

from __future__ import annotations

import httpcore
import httpx

from label_studio_sam2.errors import Busy, MediaUnavailable
from label_studio_sam2.labelstudio.api import advice
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.api.trying_again import PASSING
from label_studio_sam2.labelstudio.media.addresses import Address
from label_studio_sam2.labelstudio.media.hosts import origin
from label_studio_sam2.outgoing.proxies import Proxy

ERROR_BODY_BYTES = 4096
BUSY = PASSING - {500}
"""All that passes by itself; an error of the host's own may stay."""


def refusal(
    response: httpcore.Response, url: httpx.URL, address: Address, label_studio: LabelStudioClient
) -> MediaUnavailable | Busy:
    """An answer of another status than was hoped for, from `url`, at which a medium's address ended."""
    own = address.authorised and origin(url) == origin(httpx.URL(address.url))
    status, shown = response.status, address.shown
    if own and status in {401, 403}:
        body = next(iter(response.iter_stream()), b"")[:ERROR_BODY_BYTES].decode(errors="replace")
        return MediaUnavailable(advice.refusal(label_studio.key, status, body, shown))
    if own and status == 404:
        return MediaUnavailable(
            f"Label Studio has no {shown} (404): the file was deleted, or no storage connected to "
            "the task's project holds it."
        )
    if status in {401, 403}:
        return MediaUnavailable(
            f"{url.host} answers {status} for {shown}: it wants credentials that this service "
            "doesn't have. Connect it to Label Studio as a storage, or make it readable."
        )
    if status in BUSY:
        return Busy(f"{url.host} is busy ({status} for {shown}): try again soon.")
    if status >= 500:
        return MediaUnavailable(f"{url.host} answers {status} for {shown}: see what its own log says.")
    return MediaUnavailable(f"{url.host} answers {status} for {shown}: check the address in the task.")


def failure(
    problem: Exception,
    url: httpx.URL,
    address: Address,
    label_studio: LabelStudioClient,
    proxy: Proxy | None,
) -> MediaUnavailable:
    """No connection, or one that broke or is too slow; `proxy`: what it went through."""
    own, shown = label_studio.url and origin(url) == origin(httpx.URL(label_studio.url)), address.shown
    reason = str(problem) or type(problem).__name__
    if isinstance(problem, httpcore.ProxyError) or (
        proxy and isinstance(problem, httpcore.ConnectError | httpcore.ConnectTimeout)
    ):
        assert proxy is not None
        return MediaUnavailable(
            f"{url.host} can't be reached for {shown} through {proxy.shown}: {reason}. "
            f"{advice.past(proxy, url.host)}"
        )
    if isinstance(problem, httpcore.ConnectError | httpcore.ConnectTimeout):
        if own:
            return MediaUnavailable(advice.unreachable(label_studio.url, problem))
        return MediaUnavailable(f"{url.host} can't be reached for {shown} ({reason}).")
    if isinstance(problem, httpcore.TimeoutException):
        return MediaUnavailable(
            f"{url.host} sends {shown} too slowly, or not at all: see whether it is overloaded."
        )
    return MediaUnavailable(f"{url.host} broke the connection for {shown} ({reason}): try again.")
