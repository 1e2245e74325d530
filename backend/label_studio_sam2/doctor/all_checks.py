"""Why does no mask appear: every check there is, from the weights to the last picture, in the order of their causes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx

from label_studio_sam2.doctor import label_studio, machine, service
from label_studio_sam2.doctor import project as projects
from label_studio_sam2.doctor.check import Check
from label_studio_sam2.doctor.connection import connection, webhooks
from label_studio_sam2.doctor.look import Look, thorough
from label_studio_sam2.errors import LabelStudioError, ServiceError
from label_studio_sam2.labelstudio.api.client import JSON, LabelStudioClient
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import Settings

SERVICE_SECONDS = 5.0
MOST_PROJECTS = 10
"""Looked at where none is named, the newest first: Label Studio calls each one's backends before it answers."""


def run(
    settings: Settings,
    *,
    project: int | None = None,
    address: str | None = None,
    most: int | None = MOST_PROJECTS,
) -> list[Check]:
    """All checks of the service at `address` (default: PORT of this machine) and of Label Studio.

    What a running service needs, it looks at itself: its MODEL and its disk need not be this shell's. `project` is
    Label Studio's id; without one the `most` newest projects are looked at (None: all).
    """
    with service_client(settings, address) as http:
        found = service.status(http)
        theirs = service.own_checks(http, found) if isinstance(found, dict) else []
    running = found if isinstance(found, dict) else {}
    ours = _label_studio(settings, running, project, most)
    said = {check.sentence for check in ours}
    return [
        *(
            [check for check in theirs if check.name in machine.NAMES]
            if running
            else machine_checks(settings)
        ),
        service.readiness(found) if isinstance(found, dict) else found,
        *(service.its(check) for check in theirs if service.needs(check) and check.sentence not in said),
        *ours,
    ]


def inside(settings: Settings, client: LabelStudioClient, look: Look) -> list[Check]:
    """The same for the running service itself, whose readiness and last problems its status says by the second."""
    return [*machine_checks(settings), *label_studio_checks(client, look)]


def machine_checks(settings: Settings) -> list[Check]:
    """Of what the service needs where it runs."""
    return [
        machine.checkpoint(settings),
        machine.detector(settings),
        machine.device(settings),
        machine.redis(settings),
        machine.disk(settings.model_cache),
        *machine.tuned(settings),
    ]


def label_studio_checks(
    client: LabelStudioClient,
    look: Look,
    running: dict[str, Any] | None = None,
    project: int | None = None,
    most: int | None = MOST_PROJECTS,
) -> list[Check]:
    """Of Label Studio and its projects; `running` is what a running service says of itself, if there is one."""
    found = [label_studio.server(client)]
    if found[0].state != "problem":
        found.append(label_studio.key(client))
    if any(check.state == "problem" for check in found):
        return found
    try:
        chosen, scope = _projects(client, project, most)
        return [
            *found,
            *scope,
            *(
                check
                for one, backends in chosen
                for check in project_checks(client, look, one, backends, running or {})
            ),
        ]
    except LabelStudioError as error:
        return [*found, Check.failed("projects", error)]


def project_checks(
    client: LabelStudioClient,
    look: Look,
    project: JSON,
    backends: list[JSON],
    running: dict[str, Any],
) -> Iterator[Check]:
    """Of one project: its labeling config, its connection to this service, its media, its last failure."""
    number = int(project["id"])
    yield from projects.config(project)
    yield from projects.exports(project)
    steps: tuple[Callable[[], list[Check]], ...] = (
        lambda: connection(client, look, number, backends),
        lambda: webhooks(client, look, number, backends),
        lambda: projects.media(client, look, project),
    )
    for step in steps:
        try:
            yield from step()
        except ServiceError as error:
            yield Check.failed("Label Studio", error, number)
    yield from service.last_problem(running, number)


@contextmanager
def service_client(settings: Settings, address: str | None = None) -> Iterator[httpx.Client]:
    """A client of the service that runs with these settings."""
    auth = (settings.basic_auth_user, settings.basic_auth_pass.get_secret_value())
    url = address or f"http://localhost:{settings.port}"
    with Outgoing.of(settings).client(
        base_url=url, auth=auth if settings.basic_auth_user else None, timeout=SERVICE_SECONDS
    ) as http:
        yield http


def _label_studio(
    settings: Settings, running: dict[str, Any], project: int | None, most: int | None
) -> list[Check]:
    try:
        client = LabelStudioClient.of(settings)
    except LabelStudioError as error:
        return [Check.failed("Label Studio", error)]
    with client, thorough(settings, client) as look:
        return label_studio_checks(client, look, running, project, most)


def _projects(
    client: LabelStudioClient, project: int | None, most: int | None
) -> tuple[list[tuple[JSON, list[JSON]]], list[Check]]:
    """The project that is named, or of the newest those that have ML backends, with these; and how many there are."""
    if project is not None:
        return [(client.project(project), client.ml_backends(project))], []
    total = client.project_count()
    newest = list(islice(client.projects(), most))
    chosen = [(one, backends) for one in newest if (backends := client.ml_backends(int(one["id"])))]
    return chosen, [_scope(len(newest), total, len(chosen))]


def _scope(looked_at: int, total: int, chosen: int) -> Check:
    """That there is more than was looked at, or that there is nothing to look at."""
    having = f"{chosen or 'none'} of them {'has' if chosen == 1 else 'have'} an ML backend."
    if not total:
        sentence, remedy = (
            "Label Studio has no project yet.",
            "Make one: `label-studio-sam2 connect --create NAME`.",
        )
        return Check("projects", "warning", sentence, remedy)
    if looked_at < total:
        sentence = f"Looked at the {looked_at} newest of {total} projects: {having}"
        remedy = "`label-studio-sam2 doctor --all` looks at all of them, `--project N` at one."
        return Check("projects", "ok", sentence, remedy)
    return Check("projects", "ok", f"Looked at all projects, {total}: {having}")
