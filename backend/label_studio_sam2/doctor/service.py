"""Is this service itself running and ready, and what went wrong in it last."""

from __future__ import annotations

from dataclasses import fields, replace
from time import monotonic, sleep
from typing import Any

import httpx

from label_studio_sam2.doctor.check import Check

NAME = "service"
LOOK_SECONDS = 20.0
"""How long the first look of a service that has just been started is waited for."""
POLL_SECONDS = 0.2


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


def own_checks(http: httpx.Client, found: dict[str, Any]) -> list[Check]:
    """What a running service, whose status is `found`, has found out about itself; its first look is waited for."""
    deadline = monotonic() + LOOK_SECONDS
    while (looked := found.get("checks") or {}) and looked.get("at") is None and monotonic() < deadline:
        sleep(POLL_SECONDS)
        again = status(http)
        if isinstance(again, Check):
            return []
        found = again
    known = {field.name for field in fields(Check)}
    return [
        Check(**{name: value for name, value in check.items() if name in known})
        for check in looked.get("found", ())
    ]


def needs(check: Check) -> bool:
    """Whether this finding of a running service is about its own way to Label Studio, and bad."""
    return check.state == "problem" and check.name in {"Label Studio", "key"}


def its(check: Check) -> Check:
    """Named as what the running service found, where this shell's settings may be others."""
    return replace(check, name=f"{check.name}, seen from the running service")


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
    sentence = f"{trouble['detail']} ({trouble['at']})"
    return [Check("last request", "warning", sentence, "Mend it as it says, and click again.", project)]


def _foreign(http: httpx.Client) -> Check:
    return Check(
        NAME,
        "problem",
        f"What answers at {http.base_url} is not this service.",
        "Name the service's address with --service, or free its PORT.",
    )
