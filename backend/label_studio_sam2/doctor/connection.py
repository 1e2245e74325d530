"""Does Label Studio send a project's clicks to this service: its own answers tell the cause where it doesn't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from label_studio_sam2.doctor.check import Check
from label_studio_sam2.doctor.look import Look
from label_studio_sam2.errors import LabelStudioError, LabelStudioRefusal
from label_studio_sam2.labelstudio.api.advice import LOOPBACK_NAMES
from label_studio_sam2.labelstudio.api.client import JSON, LabelStudioClient
from label_studio_sam2.settings import Settings

NAME = "connection"
WEBHOOKS = "webhooks"
TITLE = "SAM 2"
"""What a project's settings call this service; annotators see it nowhere."""
BASIC_AUTH = "BASIC_AUTH"
CONNECTED = {"CO", "TR", "PR"}
"""Label Studio's states of a backend: connected, training, predicting; the others are DI and ER."""

SSRF_SWITCH = "SSRF_PROTECTION_ENABLED=false"
SWITCHES = "Start Label Studio with ML_BLOCK_LOCAL_IP=false and SSRF_PROTECTION_ENABLED=false."


class Cause(NamedTuple):
    """What Label Studio says, and what it means; `{url}` and `{host}` are the backend's as Label Studio knows it."""

    said: str
    sentence: str
    remedy: str


WANTS_PASSWORD = (
    "This service wants a user and a password at {url}, and Label Studio sends others or none.",
    "Run `label-studio-sam2 connect` with the service's own BASIC_AUTH_USER and BASIC_AUTH_PASS.",
)

CAUSES = (
    Cause(
        "reserved network address",
        "Label Studio refuses {url}, because it is on a private network.",
        SWITCHES,
    ),
    Cause(
        "authentication parameters", *WANTS_PASSWORD
    ),  # /health was refused: by a proxy, since ours is open
    Cause("401 Client Error", *WANTS_PASSWORD),  # /setup was
    Cause(
        "Can't resolve hostname",
        "Label Studio doesn't know the host {host}.",
        "Connect again with --backend and a name that Label Studio's machine can resolve.",
    ),
    Cause(
        "look like a valid ML backend",
        "What answers Label Studio at {url} is no ML backend.",
        "Connect again with --backend and this service's own address.",
    ),
    Cause(
        "health check failed",
        "Label Studio can't reach this service at {url}.",
        "Start it there with `label-studio-sam2 serve`, let Label Studio's machine through to that port, or connect "
        "again with --backend and the address that Label Studio sees.",
    ),
)

LOOPBACK = Cause(
    "health check failed",
    "Label Studio can't reach this service at {url}: either nothing runs there, or Label Studio runs in a container, "
    "in which {host} is the container itself.",
    "Start the service there; for a container, connect again with --backend http://host.docker.internal:{port}, or "
    "with the service's name in the compose file.",
)


def registration(settings: Settings, url: str, project: int) -> dict[str, Any]:
    """What Label Studio is told of this service, and checks by calling it."""
    body: dict[str, Any] = {"url": url, "project": project, "title": TITLE, "is_interactive": True}
    if settings.basic_auth_user:
        body |= {
            "auth_method": BASIC_AUTH,
            "basic_auth_user": settings.basic_auth_user,
            "basic_auth_pass": settings.basic_auth_pass.get_secret_value(),
        }
    return body


def connection(
    client: LabelStudioClient, look: Look, project: int, backends: list[dict[str, Any]]
) -> list[Check]:
    """Of a project's ML backends: the interactive switch, how many have it on, whether Label Studio reaches the first;
    why it doesn't, in a thorough look.

    Raises LabelStudioError where Label Studio can't be asked.
    """
    clicks = interactive(backends)
    connect = f"Run `label-studio-sam2 connect --project {project}`."
    if not backends:
        return [Check(NAME, "problem", "No ML backend is connected to the project.", connect, project)]
    if not clicks:
        sentence = "The project's ML backend is not interactive, so that a click asks nobody."
        remedy = connect[:-1] + ", or switch Interactive preannotations on under Settings, Model."
        return [Check(NAME, "problem", sentence, remedy, project)]
    found = [_reached(client, look, clicks[0], project)]
    if len(clicks) > 1:
        sentence = (
            f"{len(clicks)} interactive backends are connected; clicks go to the first, {clicks[0]['url']}."
        )
        remedy = (
            "Delete the others, or switch Interactive preannotations off for them, under Settings, Model."
        )
        found.append(Check("interactive backends", "warning", sentence, remedy, project))
    return found


def interactive(backends: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the editor would send a click to; it takes the first."""
    return [backend for backend in backends if backend["is_interactive"]]


def webhooks(
    client: LabelStudioClient, look: Look, project: int, backends: list[dict[str, Any]]
) -> list[Check]:
    """Whether Label Studio tells this service of annotations: saving the webhook as it is shows a refusal, in a
    thorough look."""
    if not interactive(backends):
        return []
    url = str(interactive(backends)[0]["url"])
    ours = webhook(client, project, url)
    if ours is None:
        sentence = "No webhook tells this service of saved annotations, which tuning needs."
        remedy = f"Start Label Studio with {SSRF_SWITCH}, then run `label-studio-sam2 connect --project {project}`."
        return [Check(WEBHOOKS, "warning", sentence, remedy, project)]
    if not look.thorough:
        return look.found_before(project, WEBHOOKS)
    try:
        client.patch(f"/api/webhooks/{ours['id']}/", {"url": ours["url"]})
    except LabelStudioRefusal as refusal:
        if CAUSES[0].said not in refusal.said:
            return []
        sentence = "Label Studio drops its messages about saved annotations: they go to a private network."
        return [Check(WEBHOOKS, "warning", sentence, f"Start Label Studio with {SSRF_SWITCH}.", project)]
    return [Check(WEBHOOKS, "ok", "Label Studio may tell this service of annotations.", project=project)]


def webhook(client: LabelStudioClient, project: int, url: str) -> JSON:
    """A project's webhook to the service at this address, or None."""
    hooks = client.get("/api/webhooks/", {"project": project})
    return next((hook for hook in hooks if str(hook["url"]).startswith(url.rstrip("/") + "/")), None)


def diagnosis(refusal: LabelStudioError, url: str, project: int | None = None) -> Check:
    """Why Label Studio doesn't take a backend at this address."""
    said = refusal.said if isinstance(refusal, LabelStudioRefusal) else ""
    parts = urlsplit(url)
    cause = next((cause for cause in _causes(parts.hostname or "") if cause.said in said), None)
    if cause is None:
        return Check.failed(NAME, refusal, project)
    words: Mapping[str, Any] = {"url": url, "host": parts.hostname, "port": parts.port or 80}
    return Check(NAME, "problem", cause.sentence.format(**words), cause.remedy.format(**words), project)


def _causes(host: str) -> tuple[Cause, ...]:
    return (*CAUSES[:-1], LOOPBACK if host in LOOPBACK_NAMES else CAUSES[-1])


def _reached(client: LabelStudioClient, look: Look, backend: dict[str, Any], project: int) -> Check:
    url = str(backend["url"])
    if backend["state"] not in CONNECTED and not look.thorough:
        return _unreached(look, url, project)
    if backend["state"] not in CONNECTED:
        try:  # saving it as it is makes Label Studio call it and say what went wrong
            client.patch(f"/api/ml/{backend['id']}", _as_it_is(backend, project))
        except LabelStudioRefusal as refusal:
            return diagnosis(refusal, url, project)
    return Check(
        NAME, "ok", f"Label Studio reaches this service at {url}; clicks are sent to it.", project=project
    )


def _unreached(look: Look, url: str, project: int) -> Check:
    """In the words of the last thorough look, where that knew why."""
    for check in look.found_before(project, NAME):
        if check.state == "problem":
            return check
    sentence = f"Label Studio says that it doesn't reach this service at {url}."
    remedy = f"Look again, or run `label-studio-sam2 doctor --project {project}`: that finds out why."
    return Check(NAME, "problem", sentence, remedy, project)


def _as_it_is(backend: dict[str, Any], project: int) -> dict[str, Any]:
    """What changes nothing about a backend: Label Studio takes an empty password for the one that it has."""
    body: dict[str, Any] = {"url": backend["url"], "project": project}
    if backend.get("auth_method") == BASIC_AUTH:
        body |= {
            "auth_method": BASIC_AUTH,
            "basic_auth_user": backend["basic_auth_user"],
            "basic_auth_pass": "",
        }
    return body
