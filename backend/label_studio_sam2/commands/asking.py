"""One question to /predict, as Label Studio asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from label_studio_sam2.errors import ServiceError


class DemoFailedError(ServiceError):
    """An answer wasn't right."""


def ask(
    client: httpx.Client, task: Mapping[str, str], config: str, regions: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The regions that answer these. Raises DemoFailedError where there are none."""
    body = {
        "tasks": [{"id": 1, "data": task}],
        "label_config": config,
        "params": {"context": {"result": regions}},
    }
    answer = client.post("/predict", json=body)
    if not answer.is_success:
        raise DemoFailedError(answer.json()["detail"])
    result: list[dict[str, Any]] = answer.json()["results"][0]["result"]
    if not result:
        raise DemoFailedError("The service found no object at the prompt.")
    return result
