"""Where an answer sends on to, and which of these ways a download goes."""

from __future__ import annotations

import httpcore
import httpx

from label_studio_sam2.errors import MediaRefused, MediaUnavailable
from label_studio_sam2.labelstudio.api import advice
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.addresses import Address
from label_studio_sam2.labelstudio.media.hosts import origin, with_host

SIGN_IN = "/user/login"
REDIRECTS = {301, 302, 303, 307, 308}


def target(
    response: httpcore.Response,
    url: httpx.URL,
    address: Address,
    label_studio: LabelStudioClient,
    *,
    authorised: bool,
) -> httpx.URL | None:
    """The next address of a download that came by `url`; None where the answer is no redirect.

    Raises MediaRefused for one that media aren't fetched from, MediaUnavailable where it tells that the key or
    LABEL_STUDIO_URL has to be mended.
    """
    location = httpx.Headers(response.headers).get("location", "")
    if response.status not in REDIRECTS or not location:
        return None
    try:
        onward = with_host(url.join(location))
    except httpx.InvalidURL as problem:
        raise MediaUnavailable(f"{address.shown} redirects to something that isn't an address.") from problem
    if onward.scheme not in {"http", "https"} or not onward.host:
        raise MediaRefused(f"{address.shown} redirects to an address that isn't http(s).")
    if authorised and SIGN_IN in onward.path:
        raise MediaUnavailable(advice.refusal(label_studio.key, 401, "", address.shown))
    if authorised and onward.raw_path == url.raw_path and origin(onward) != origin(url):
        raise MediaUnavailable(
            f"Label Studio redirects {address.shown} to {onward.scheme}://{onward.netloc.decode()}: "
            "set LABEL_STUDIO_URL to that."
        )
    return onward
