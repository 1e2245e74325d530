"""What commands ask the running service over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from label_studio_sam2.errors import NotReady, ServiceError

SECONDS = 100
"""The service may ask Label Studio how many tasks there are, which on a large project takes its time."""


class Refused(ServiceError):
    """The service refused or gave up; its own reason."""


def call(http: httpx.Client, method: str, path: str, **request: Any) -> dict[str, Any]:
    """The service's answer. Raises NotReady where none answers, and Refused with its reason."""
    try:
        answer = http.request(method, path, timeout=SECONDS, **request)
        content = answer.json()
    except httpx.TransportError as error:
        raise NotReady(
            f"No service answers at {http.base_url} ({error}). Start it with `label-studio-sam2 serve`, or name its "
            "address with --service."
        ) from error
    except ValueError as error:
        raise _foreign(http) from error
    if not isinstance(content, dict):
        raise _foreign(http)
    if answer.is_error:
        raise Refused(str(content.get("detail", content)))
    return content


def _foreign(http: httpx.Client) -> Refused:
    return Refused(
        f"What answers at {http.base_url} is not this service. Name the service's address with --service."
    )
