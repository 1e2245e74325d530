"""Why does no mask appear: every check there is, from the weights to the last picture, in the order of their causes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from label_studio_sam2.checks import label_studio, machine, service
from label_studio_sam2.checks import project as projects
from label_studio_sam2.checks.check import Check
from label_studio_sam2.checks.connection import connection, webhooks
from label_studio_sam2.errors import LabelStudioError, ServiceError
from label_studio_sam2.labelstudio.client import JSON, LabelStudioClient
from label_studio_sam2.labelstudio.media import MediaStore
from label_studio_sam2.settings import Settings

SERVICE_SECONDS = 5.0
MOST_PROJECTS = 10
"""Looked at where none is named, the newest first: Label Studio calls each one's backends before it answers."""


def run(settings: Settings, *, project: int | None = None, address: str | None = None) -> list[Check]:
    """All checks of this machine, the service at `address` (default: PORT of this machine), and Label Studio.

    `project` is Label Studio's id; without one the newest projects that have an ML backend are looked at.
    """
    with service_client(settings, address) as http:
        found = service.status(http)
    running = found if isinstance(found, dict) else {}
    return [
        *machine_checks(settings),
        service.readiness(found) if isinstance(found, dict) else found,
        *label_studio_checks(settings, project, running),
    ]


def inside(settings: Settings) -> list[Check]:
    """The same for the running service itself, whose readiness and last problems its status says by the second."""
    return [*machine_checks(settings), *label_studio_checks(settings, None, {})]


def machine_checks(settings: Settings) -> list[Check]:
    """Of what the service needs where it runs."""
    return [
        machine.checkpoint(settings),
        machine.device(settings),
        machine.redis(settings),
        machine.disk(settings.model_cache),
    ]


def label_studio_checks(settings: Settings, project: int | None, running: dict[str, Any]) -> list[Check]:
    """Of Label Studio and its projects; `running` is what a running service says of itself, if there is one."""
    try:
        client = LabelStudioClient(
            settings.label_studio_url, settings.label_studio_api_key.get_secret_value()
        )
    except LabelStudioError as error:
        return [Check.failed("Label Studio", error)]
    with client:
        found = [label_studio.server(client)]
        if found[0].state != "problem":
            found.append(label_studio.key(client))
        if any(check.state == "problem" for check in found):
            return found
        try:
            return found + [
                check
                for one, backends in _projects(client, project)
                for check in project_checks(client, settings, one, backends, running)
            ]
        except LabelStudioError as error:
            return [*found, Check.failed("projects", error)]


def project_checks(
    client: LabelStudioClient,
    settings: Settings,
    project: JSON,
    backends: list[JSON],
    running: dict[str, Any],
) -> Iterator[Check]:
    """Of one project: its labeling config, its connection to this service, its media, its last failure."""
    number = int(project["id"])
    yield from projects.config(project)
    steps: tuple[Callable[[], list[Check]], ...] = (
        lambda: connection(client, number, backends),
        lambda: webhooks(client, number, backends),
        lambda: _media(client, settings, project),
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
    with httpx.Client(
        base_url=url,
        auth=auth if settings.basic_auth_user else None,
        timeout=SERVICE_SECONDS,
        trust_env=False,
    ) as http:
        yield http


def _projects(client: LabelStudioClient, project: int | None) -> Iterator[tuple[JSON, list[JSON]]]:
    """The project that is named, or the newest that have ML backends, with these."""
    if project is not None:
        yield client.project(project), client.ml_backends(project)
        return
    for one in islice(client.projects(), MOST_PROJECTS):
        if backends := client.ml_backends(int(one["id"])):
            yield one, backends


def _media(client: LabelStudioClient, settings: Settings, project: JSON) -> list[Check]:
    with TemporaryDirectory(prefix="label-studio-sam2-") as folder:
        store = MediaStore(
            Path(folder),
            client,
            allowed_hosts=settings.media_allowed_hosts,
            max_bytes=settings.max_media_mb << 20,
        )
        return projects.media(client, store, project)
