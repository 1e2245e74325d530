"""Label Studio's project API on a real socket, as 1.23.2 answers it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.fakes.servers import Exchange, LabelStudio

HTTP = httpx.Client(trust_env=False)
BLOCKED = {"detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)"}
FILE = re.compile(rb'filename="([^"]+)".*?\r\n\r\n(.*)\r\n--', re.DOTALL)


@dataclass
class Project:
    """One project with what belongs to it, in the order in which it was made."""

    title: str = "Cars"
    label_config: str = "<View></View>"
    backends: list[dict[str, Any]] = field(default_factory=list)
    tasks: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[dict[str, Any]] = field(default_factory=list)


class ProjectServer(LabelStudio):
    """With its two switches against private networks. An address in `elsewhere` is another machine, seen from there."""

    def __init__(self) -> None:
        super().__init__()
        self.projects: list[Project] = []
        self.release = "1.23.2"
        self.withheld: set[str] = set()
        self.blocks_backends = False
        self.blocks_webhooks = False
        self.elsewhere: set[str] = set()
        self.writes: list[str] = []
        self.service = ""
        """Where the backends answer whose URL is empty."""

    def _answer(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/api/version":
            exchange.json(200, {"release": self.release})
            return
        for method, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and exchange.command == method:
                if self._known(exchange):
                    if method != "GET":
                        self.writes.append(f"{method} {url.path}")
                    status, body = answer(self, query, exchange.seen.body, *map(int, match.groups()))
                    exchange.json(status, body)
                return
        super()._answer(exchange)

    def whoami(self, _query: dict[str, str], _body: bytes) -> tuple[int, Any]:
        return 200, {"email": "annotator@example.com"}

    def list_projects(self, _query: dict[str, str], _body: bytes) -> tuple[int, Any]:
        found = [self._shown(number) for number in range(len(self.projects), 0, -1)]
        return 200, {"results": found, "count": len(found)}

    def get_project(self, _query: dict[str, str], _body: bytes, number: int) -> tuple[int, Any]:
        if number > len(self.projects):
            return 404, {"detail": "No Project matches the given query."}
        return 200, self._shown(number)

    def make_project(self, _query: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.projects.append(Project(**json.loads(body)))
        return 201, self._shown(len(self.projects))

    def change_project(self, _query: dict[str, str], body: bytes, number: int) -> tuple[int, Any]:
        self.projects[number - 1].label_config = json.loads(body)["label_config"]
        return 200, self._shown(number)

    def list_backends(self, query: dict[str, str], _body: bytes) -> tuple[int, Any]:
        backends = self.projects[int(query["project"]) - 1].backends
        for backend in backends:
            backend["state"] = "DI" if self._refusal(backend) else "CO"
        return 200, backends

    def make_backend(self, _query: dict[str, str], body: bytes) -> tuple[int, Any]:
        backend = json.loads(body)
        if refusal := self._refusal(backend):
            return refusal
        backends = self.projects[backend["project"] - 1].backends
        backends.append(backend | {"id": len(backends) + 1, "state": "CO"})
        made = self._make_webhook(backend["project"], backend["url"].rstrip("/") + "/webhook")
        return made if made[0] == 403 else (201, backends[-1])

    def change_backend(self, _query: dict[str, str], body: bytes, number: int) -> tuple[int, Any]:
        changed = json.loads(body)
        backend = self.projects[changed["project"] - 1].backends[number - 1]
        if not changed.get("basic_auth_pass"):  # as it shows none, an empty one is the one that it has
            changed["basic_auth_pass"] = backend.get("basic_auth_pass", "")
        if refusal := self._refusal(changed):
            return refusal
        backend |= changed
        return 200, changed

    def list_webhooks(self, query: dict[str, str], _body: bytes) -> tuple[int, Any]:
        return 200, self.projects[int(query["project"]) - 1].webhooks

    def add_webhook(self, _query: dict[str, str], body: bytes) -> tuple[int, Any]:
        asked = json.loads(body)
        return self._make_webhook(asked["project"], asked["url"])

    def change_webhook(self, _query: dict[str, str], _body: bytes, _number: int) -> tuple[int, Any]:
        return (403, BLOCKED) if self.blocks_webhooks else (200, {})

    def list_tasks(self, query: dict[str, str], _body: bytes) -> tuple[int, Any]:
        tasks = self.projects[int(query["project"]) - 1].tasks
        return 200, {"tasks": tasks, "total": len(tasks)}

    def list_uploads(self, _query: dict[str, str], _body: bytes, number: int) -> tuple[int, Any]:
        return 200, self.projects[number - 1].uploads

    def take_upload(self, _query: dict[str, str], body: bytes, number: int) -> tuple[int, Any]:
        found = FILE.search(body)
        assert found is not None
        project = self.projects[number - 1]
        stored = f"upload/{number}/0123abcd-{found[1].decode().replace(' ', '_')}"
        project.uploads.append({"id": len(project.uploads) + 1, "file": stored, "size": len(found[2])})
        key = "video" if "$video" in project.label_config else "image"
        project.tasks.append({"id": len(project.tasks) + 1, "data": {key: f"/data/{stored}"}})
        self.files[f"/data/{stored}"] = found[2]
        return 201, {"task_count": 1}

    def _make_webhook(self, project: int, url: str) -> tuple[int, Any]:
        if self.blocks_webhooks:
            return 403, BLOCKED
        webhooks = self.projects[project - 1].webhooks
        webhooks.append({"id": len(webhooks) + 1, "url": url})
        return 201, webhooks[-1]

    def _shown(self, number: int) -> dict[str, Any]:
        project = self.projects[number - 1]
        shown = {"id": number, "title": project.title, "label_config": project.label_config}
        return {key: shown[key] for key in shown if key not in self.withheld}

    def _refusal(self, backend: dict[str, Any]) -> tuple[int, Any] | None:
        """What Label Studio answers where it can't or won't call this backend."""
        if self.blocks_backends:
            return 403, BLOCKED
        auth = (backend.get("basic_auth_user", ""), backend.get("basic_auth_pass", ""))
        try:
            if backend["url"] in self.elsewhere:
                raise httpx.ConnectError("[Errno 111] Connection refused")
            url = backend["url"] or self.service
            HTTP.get(url + "/health").raise_for_status()
            asked = {"project": f"{backend.get('project', '')}.1764288000"}
            answer = HTTP.post(url + "/setup", json=asked, auth=auth if auth[0] else None)
            answer.raise_for_status()
            backend["model_version"] = answer.json().get("model_version")
        except httpx.TransportError as error:
            return 400, _invalid(
                f"Can't connect to ML backend {backend['url']}, health check failed. Make sure {error}"
            )
        except httpx.HTTPStatusError as error:
            reason = f"{error.response.status_code} Client Error: {error.response.reason_phrase} for url"
            return 400, _invalid(
                f"Successfully connected to {backend['url']} but it doesn't look like a valid ML backend. "
                f"Reason: {reason}"
            )
        return None


def _invalid(text: str) -> dict[str, Any]:
    return {"detail": "Validation error", "validation_errors": {"non_field_errors": [text]}}


ROUTES = (
    ("GET", "/api/current-user/whoami", ProjectServer.whoami),
    ("GET", "/api/projects/", ProjectServer.list_projects),
    ("POST", "/api/projects/", ProjectServer.make_project),
    ("GET", r"/api/projects/(\d+)/", ProjectServer.get_project),
    ("PATCH", r"/api/projects/(\d+)/", ProjectServer.change_project),
    ("GET", "/api/ml/", ProjectServer.list_backends),
    ("POST", "/api/ml/", ProjectServer.make_backend),
    ("PATCH", r"/api/ml/(\d+)", ProjectServer.change_backend),
    ("GET", "/api/webhooks/", ProjectServer.list_webhooks),
    ("POST", "/api/webhooks/", ProjectServer.add_webhook),
    ("PATCH", r"/api/webhooks/(\d+)/", ProjectServer.change_webhook),
    ("GET", "/api/tasks/", ProjectServer.list_tasks),
    ("GET", r"/api/projects/(\d+)/file-uploads", ProjectServer.list_uploads),
    ("POST", r"/api/projects/(\d+)/import", ProjectServer.take_upload),
)
