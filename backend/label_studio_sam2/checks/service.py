"""Is this service itself running and ready, and what went wrong in it last."""

from __future__ import annotations

from typing import Any

import httpx

from label_studio_sam2.checks.check import Check

NAME = "service"


def status(http: httpx.Client) -> dict[str, Any] | Check:
    """What a running service says of itself (GET /), or why there is nothing."""
    try:
        answer = http.get("/", headers={"Accept": "application/json"})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            remedy = "Run this with the service's own BASIC_AUTH_USER and BASIC_AUTH_PASS."
            return Check(
                NAME, "problem", "The service refuses the user and password that are set here.", remedy
            )
        return _foreign(http)
    except httpx.TransportError as error:
        reason = str(error) or type(error).__name__
        remedy = "Start it with `label-studio-sam2 serve`, or name its address with --service."
        return Check(NAME, "problem", f"No service answers at {http.base_url} ({reason}).", remedy)
    except ValueError:
        return _foreign(http)
    return found if "model_class" in found else _foreign(http)


def readiness(found: dict[str, Any]) -> Check:
    """Whether its model is loaded, on which device."""
    if found.get("ready"):
        return Check(NAME, "ok", f"{found['model_version']} is ready on {found['device']}.")
    reason = str(found.get("reason") or "The model is still loading.")
    sentence, _, remedy = reason.partition(". ")
    return Check(
        NAME, "problem", sentence.rstrip(".") + ".", remedy or "Wait; the service's log tells how far it is."
    )


def last_problem(found: dict[str, Any], project: int) -> list[Check]:
    """The last request of the project that could not be answered; it is forgotten with its next success."""
    trouble = found.get("problems", {}).get(str(project))
    if trouble is None:
        return []
    sentence = f"{trouble['at']}, {trouble['error']}: {trouble['detail']}"
    return [Check("last request", "warning", sentence, "Mend it as it says, and click again.", project)]


def _foreign(http: httpx.Client) -> Check:
    return Check(
        NAME,
        "problem",
        f"What answers at {http.base_url} is not this service.",
        "Name the service's address with --service, or free its PORT.",
    )
