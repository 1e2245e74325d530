"""How whatever is answered becomes bytes, and how an error does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response

from label_studio_sam2.errors import ServiceError, brief


def to_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return Response(orjson.dumps(content, option=options), status, headers, "application/json")


def refusal(status: int, name: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The documented shape of every error."""
    return to_json({"detail": brief(detail), "error": name}, status, headers)


def of(error: ServiceError) -> Response:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="label-studio-sam2"'
    return refusal(error.status, type(error).__name__, error.detail, headers)
