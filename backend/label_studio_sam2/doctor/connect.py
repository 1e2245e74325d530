"""From a Label Studio to a project in which a click gives a mask; done twice, it changes nothing the second time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from label_studio_sam2.doctor import label_studio
from label_studio_sam2.doctor.all_checks import project_checks
from label_studio_sam2.doctor.check import Check
from label_studio_sam2.doctor.connection import CONNECTED, TITLE, diagnosis, registration, webhook
from label_studio_sam2.doctor.look import thorough
from label_studio_sam2.errors import LabelStudioError, LabelStudioRefusal, RequestError, ServiceError
from label_studio_sam2.labelstudio.api.client import JSON, LabelStudioClient
from label_studio_sam2.labelstudio.api.uploads import stored_name, without_prefix
from label_studio_sam2.labelstudio.config.more_labels import with_more_labels
from label_studio_sam2.labelstudio.config.templates import DEFAULT, FRAME_RATE, LABELS, TEMPLATES
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.settings import Settings
from label_studio_sam2.wording import counted

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
VIDEOS = frozenset({".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v"})
EMPTY = frozenset({"", "<View></View>", "<View/>"})
"""The labeling config of a new project, without its white space."""
SUFFIXES = PICTURES | VIDEOS

OpenFile = AbstractContextManager[IO[bytes]]
Open = Callable[[Path], OpenFile]
"""Opens a file to be uploaded; the command line's own moves a progress bar as the file is read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to connect. Either `project`, Label Studio's id, or `create`, the title of a project that is made if there
    is none of that title yet. `backend` is this service's address as Label Studio sees it."""

    project: int | None = None
    create: str | None = None
    template: str | None = None
    labels: tuple[str, ...] = ()
    """Of the template; where the project keeps its labeling config, they are added to it."""
    backend: str | None = None
    files: tuple[Path, ...] = ()
    """Files, and folders of them, to be uploaded."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A project: its address in the browser, what was done to it, and how it stands now."""

    address: str
    done: tuple[str, ...] = ()
    checks: tuple[Check, ...] = field(default=())


def run(settings: Settings, wish: Wish, open_file: Open = lambda path: path.open("rb")) -> Connected:
    """Makes or finds the project, gives it a labeling config and this service as ML backend, uploads the files.

    Raises RequestError and LabelStudioError, which say what to change.
    """
    _check(wish)
    files = media_files(wish.files)
    done: list[str] = []
    with LabelStudioClient.of(settings) as client:
        _check_label_studio(client)
        try:
            return _connected(client, settings, wish, files, open_file=open_file, done=done)
        except ServiceError as error:
            if done:
                error.detail += f" Done before that: {' '.join(done)} The same command goes on from there."
                error.args = (error.detail,)
            raise


def _connected(
    client: LabelStudioClient,
    settings: Settings,
    wish: Wish,
    files: Sequence[Path],
    *,
    open_file: Open,
    done: list[str],
) -> Connected:
    """What was done is in `done`, also where an error ends it."""
    project = _project(client, wish, done)
    number = int(project["id"])
    done += _configure(client, project, wish, files)
    url = wish.backend or f"http://localhost:{settings.port}"
    done += _register(client, settings, number, url)
    done += _hook(client, number, url)
    done += _upload(client, number, files, open_file)
    with thorough(settings, client) as look:
        checks = project_checks(client, look, client.project(number), client.ml_backends(number), {})
        shown = settings.shown_label_studio
        return Connected(f"{shown}/projects/{number}/data", tuple(done), tuple(checks))


def media_files(paths: Sequence[Path]) -> list[Path]:
    """The pictures and videos among these files and in these folders, in order.

    Raises RequestError where a path is missing, or nothing is found.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RequestError(f"{path} doesn't exist. Give files or folders of pictures or videos.")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and file.suffix.lower() in SUFFIXES]
    if paths and not found:
        raise RequestError(
            f"No picture or video in {', '.join(map(str, paths))}. Known: {', '.join(sorted(SUFFIXES))}."
        )
    return found


def _check(wish: Wish) -> None:
    if wish.template is not None and wish.template not in TEMPLATES:
        raise RequestError(f"There is no template {wish.template}. Choose from {', '.join(TEMPLATES)}.")
    if (wish.project is None) == (wish.create is None):
        raise RequestError("Say which project: --project with its number, or --create with a title.")


def _check_label_studio(client: LabelStudioClient) -> None:
    """Before anything is made. Raises LabelStudioError."""
    for check in (label_studio.server, label_studio.key):
        found = check(client)
        if found.state == "problem":
            raise LabelStudioError(f"{found.sentence} {found.remedy}")


def _project(client: LabelStudioClient, wish: Wish, done: list[str]) -> JSON:
    if wish.project is not None:
        return client.project(wish.project)
    existing = next((one for one in client.projects() if one["title"] == wish.create), None)
    if existing is not None:
        return client.project(int(existing["id"]))
    made = client.post("/api/projects/", {"title": wish.create})
    done.append(f'Made the project "{wish.create}", number {made["id"]}.')
    return made


def _configure(client: LabelStudioClient, project: JSON, wish: Wish, files: Sequence[Path]) -> Iterator[str]:
    """Sets the template that is asked for; without one, a project that has a tag keeps its labeling config."""
    empty = re.sub(r"\s", "", project.get("label_config") or "") in EMPTY
    if wish.template is None and not empty:
        yield from _add_labels(client, project, wish.labels)
        return
    video = next((file for file in files if file.suffix.lower() in VIDEOS), None)
    template = wish.template or ("video" if video and video == files[0] else DEFAULT)
    rate = Video.open(video).rate if video and TEMPLATES[template].counts_frames else FRAME_RATE
    config = TEMPLATES[template].with_labels(wish.labels or LABELS, rate)
    if config.split() != str(project.get("label_config")).split():
        client.patch(f"/api/projects/{project['id']}/", {"label_config": config})
        yield f'Set the labeling config "{template}".'


def _add_labels(client: LabelStudioClient, project: JSON, labels: Sequence[str]) -> Iterator[str]:
    if not labels:
        return
    before = str(project["label_config"])
    config = with_more_labels(before, labels)
    if config != before:
        client.patch(f"/api/projects/{project['id']}/", {"label_config": config})
        yield f"Added to the labels of the labeling config: {', '.join(labels)}."


def _register(client: LabelStudioClient, settings: Settings, project: int, url: str) -> Iterator[str]:
    """Where this service was connected before at an address that is dead now, that one is updated.

    Raises LabelStudioError with the cause where Label Studio doesn't take it.
    """
    body = registration(settings, url, project)
    backends = client.ml_backends(project)
    same = (one for one in backends if one["url"].rstrip("/") == url.rstrip("/"))
    moved = (one for one in backends if one["title"] == TITLE and one["state"] not in CONNECTED)
    known = next(same, None) or next(moved, None)
    if known is not None and _is_current(known, url):
        return
    try:
        if known is None:
            client.post("/api/ml/", body)
        else:
            client.patch(f"/api/ml/{known['id']}", body)
    except LabelStudioRefusal as refusal:
        # With SSRF_PROTECTION_ENABLED it answers 403 for the webhook, and keeps the backend nevertheless.
        if not any(_is_current(one, url) for one in client.ml_backends(project)):
            found = diagnosis(refusal, url)
            raise LabelStudioError(f"{found.sentence} {found.remedy}") from refusal
    yield f"{'Connected' if known is None else 'Updated'} {url} as its interactive ML backend."


def _hook(client: LabelStudioClient, project: int, url: str) -> Iterator[str]:
    """The webhook that Label Studio makes with a backend, where it was refused then, or deleted since."""
    if webhook(client, project, url) is not None:
        return
    body = {"url": url.rstrip("/") + "/webhook", "project": project, "send_for_all_actions": True}
    with suppress(LabelStudioRefusal):  # the checks say why
        client.post("/api/webhooks/", body)
        yield "Made the webhook that tells of saved annotations."


def _is_current(backend: JSON, url: str) -> bool:
    connected = backend["is_interactive"] and backend["state"] in CONNECTED
    return bool(connected and backend["url"].rstrip("/") == url.rstrip("/"))


def _upload(client: LabelStudioClient, project: int, files: Sequence[Path], open_file: Open) -> Iterator[str]:
    """Imports the files whose names the project doesn't hold yet."""
    if not files:
        return
    uploads = client.get(f"/api/projects/{project}/file-uploads", {"all": "true"})
    there = {without_prefix(str(upload["file"])) for upload in uploads}
    missing = [file for file in files if stored_name(file.name) not in there]
    for file in missing:
        with open_file(file) as content:
            client.upload(project, file.name, content)
    if missing:
        yield f"Imported {counted(len(missing), 'file')}."
