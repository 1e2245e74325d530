"""The table of routes as an OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from label_studio_sam2 import __version__
from label_studio_sam2.errors import ForeignSite, InternalError, ServiceError, Unauthorized
from label_studio_sam2.server.openapi.described import ROUTES, Described
from label_studio_sam2.server.openapi.shapes import Error

REF = "#/components/schemas/{model}"
ABOUT = (
    "Label Studio calls /health, /setup, /predict, /webhook and /train; the rest is for admins and scripts. "
    "Bodies are application/json. A password, where one is set, is sent as HTTP Basic."
)


@cache
def document() -> dict[str, Any]:
    """Addresses in it are relative, so that it is right below a path too."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ROUTES:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "label-studio-sam2", "version": __version__, "description": ABOUT},
        "servers": [{"url": "."}],
        "security": [{}, {"password": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"password": {"type": "http", "scheme": "basic"}},
        },
    }


def _operation(one: Described) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(one.status).phrase}
    if isinstance(one.answer, str):
        answer["content"] = {one.answer: {"schema": {"type": "string"}}}
    else:
        answer["content"] = _json(one.answer, one.answered)
    described: dict[str, Any] = {
        "summary": one.summary,
        "operationId": f"{one.method.lower()}{re.sub(r'[^a-z]+', '_', one.path)}".rstrip("_"),
        "responses": {str(one.status): answer, **_refusals(one)},
    }
    if parameters := re.findall(r"{(\w+)}", one.path):
        described["parameters"] = [_parameter(name) for name in parameters]
    if one.body is not None:
        described["requestBody"] = {"required": True, "content": _json(one.body, one.sent)}
    if one.open:
        described["security"] = [{}]
    return described


def _json(shape: type[BaseModel], example: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REF.format(model=shape.__name__)}}
    return {"application/json": content | ({"example": example} if example is not None else {})}


def _parameter(name: str) -> dict[str, Any]:
    kind = "string" if name == "job_id" else "integer"
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}}


def _refusals(one: Described) -> dict[str, Any]:
    """By status, the kinds of errors that have it; a malformed body is pydantic's to name."""
    kinds: list[type[ServiceError]] = [*one.errors, InternalError]
    kinds += [] if one.open else [Unauthorized]
    kinds += [] if one.method == "GET" else [ForeignSite]
    found: dict[int, list[str]] = {}
    for kind in kinds:
        found.setdefault(kind.status, []).append(kind.__name__)
    if one.body is not None or "{project}" in one.path:
        found.setdefault(422, []).append("Malformed")
    return {str(status): _refusal(names, kinds, status) for status, names in sorted(found.items())}


def _refusal(names: list[str], kinds: Iterable[type[ServiceError]], status: int) -> dict[str, Any]:
    example = {"detail": "What is wrong. What to change.", "error": names[0]}
    answer: dict[str, Any] = {"description": ", ".join(names), "content": _json(Error, example)}
    if any(kind.status == status and kind.retry_after for kind in kinds) or "Busy" in names:
        answer["headers"] = {
            "Retry-After": {
                "schema": {"type": "integer"},
                "description": "seconds until it is worth another try",
            }
        }
    return answer


def _schemas() -> dict[str, Any]:
    shapes: set[type[BaseModel]] = {Error}
    for one in ROUTES:
        shapes |= {shape for shape in (one.body, one.answer) if isinstance(shape, type)}
    by_name = sorted(shapes, key=lambda shape: shape.__name__)
    _, definitions = models_json_schema([(shape, "validation") for shape in by_name], ref_template=REF)
    found: dict[str, Any] = definitions["$defs"]
    return found
