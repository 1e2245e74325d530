"""A throw-away Label Studio: the real server in a process of its own, with SQLite in a folder of its own.

Its environment is made by `make e2e`; nothing of it is imported here.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.eventually import eventually

EMAIL = "annotator@example.com"
PASSWORD = "only-for-tests-1"
LEGACY_TOKEN = "0123456789abcdef0123456789abcdef01234567"
"""Label Studio's column for it is 40 characters wide."""

START_SECONDS = 900
"""The first start migrates the database: 45 seconds on an idle machine, many times as long on a busy one."""

STOP_SECONDS = 60
POLL_SECONDS = 0.25
"""A look makes a request, which takes its time from what is waited for."""


@dataclass(frozen=True)
class LabelStudio:
    """A running Label Studio and the calls with which tests prepare it and look into it."""

    url: str
    log: Path
    files: Path

    def call(self, method: str, path: str, **request: Any) -> Any:
        """A call of its API with the legacy token: the answer's JSON. Raises httpx.HTTPStatusError."""
        headers = {"Authorization": f"Token {LEGACY_TOKEN}"}
        answer = httpx.request(
            method, self.url + path, headers=headers, timeout=120, trust_env=False, **request
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def create_project(self, title: str, label_config: str) -> int:
        created = self.call("POST", "/api/projects/", json={"title": title, "label_config": label_config})
        return int(created["id"])

    def upload(self, project: int, **files: bytes) -> list[int]:
        """One task a file, in this order; keywords are file names with `_` for the dot. Returns the tasks' ids."""
        for name, content in files.items():
            self.call(
                "POST", f"/api/projects/{project}/import", files={"file": (name.replace("_", "."), content)}
            )
        return [task["id"] for task in self.tasks(project)]

    def upload_only(self, project: int, name: str, content: bytes) -> str:
        """A file without a task; returns its address, to be put into a task's data."""
        path = f"/api/projects/{project}/import?commit_to_project=false"
        uploaded = self.call("POST", path, files={"file": (name, content)})
        (number,) = uploaded["file_upload_ids"]
        return "/data/" + str(self.call("GET", f"/api/import/file-upload/{number}")["file"])

    def add_tasks(self, project: int, *data: dict[str, Any]) -> list[int]:
        self.call("POST", f"/api/projects/{project}/import", json=[{"data": fields} for fields in data])
        return [task["id"] for task in self.tasks(project)]

    def tasks(self, project: int) -> list[dict[str, Any]]:
        query: dict[str, Any] = {"project": project, "fields": "all", "page_size": 1000}
        found = self.call("GET", "/api/tasks/", params=query)
        return sorted(found["tasks"], key=lambda task: int(task["id"]))

    def connect(self, project: int, backend: str) -> dict[str, Any]:
        body = {"url": backend, "project": project, "title": "sam2", "is_interactive": True}
        connected: dict[str, Any] = self.call("POST", "/api/ml/", json=body)
        return connected

    def backends(self, project: int) -> list[dict[str, Any]]:
        return list(self.call("GET", "/api/ml/", params={"project": project}))

    def annotations(self, task: int) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/api/tasks/{task}/annotations/"))

    def annotate(self, task: int, result: list[dict[str, Any]]) -> None:
        """A submitted annotation."""
        self.call("POST", f"/api/tasks/{task}/annotations/", json={"result": result})

    def retrieve_predictions(self, project: int) -> None:
        """What "Retrieve Predictions" in the Data Manager does with all tasks selected."""
        path = f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}"
        self.call(
            "POST", path, json={"selectedItems": {"all": True, "excluded": []}, "project": str(project)}
        )

    def export(self, project: int, kind: str = "JSON") -> Any:
        return self.call("GET", f"/api/projects/{project}/export", params={"exportType": kind})

    def personal_access_token(self) -> str:
        """A new one; the one before it, of which a user can have one, is revoked."""
        for token in self.call("GET", "/api/token/"):
            self.call("POST", "/api/token/blacklist/", json={"refresh": token["token"]})
        return str(self.call("POST", "/api/token/")["token"])

    def allow_legacy_tokens(self, allowed: bool) -> None:
        """The organisation's switch; a session's cookie is needed to switch it back on."""
        with self.session() as http:
            body = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": allowed}
            headers = {"X-CSRFToken": http.cookies["csrftoken"], "Referer": self.url}
            http.post("/api/jwt/settings", json=body, headers=headers).raise_for_status()

    @contextmanager
    def session(self) -> Iterator[httpx.Client]:
        """A client that is logged in as a browser is."""
        with httpx.Client(base_url=self.url, timeout=60, trust_env=False, follow_redirects=True) as http:
            http.get("/user/login/")
            form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
            http.post("/user/login/", data=form, headers={"Referer": self.url}).raise_for_status()
            yield http


@contextmanager
def running(environment: Path, folder: Path, **variables: str) -> Iterator[LabelStudio]:
    """A Label Studio from the virtual environment `environment`, with its data under `folder`.

    `variables` are set on top of those below.
    """
    port = free_port()
    server = LabelStudio(f"http://127.0.0.1:{port}", folder / "label-studio.log", folder / "files")
    server.files.mkdir(parents=True)
    command = [environment / "bin" / "label-studio", "start", "--no-browser"]
    command += ["--internal-host", "127.0.0.1", "--port", str(port)]
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=_environment(server, folder) | variables, stdout=log, stderr=log
        )
    try:
        eventually(lambda: _answers(server, process), START_SECONDS, every=POLL_SECONDS)
        yield server
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a server answers with success there."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _answers(server: LabelStudio, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, f"Label Studio has ended: {server.log.read_text()[-2000:]}"
    return answers(server.url + "/health")


def _environment(server: LabelStudio, folder: Path) -> dict[str, str]:
    """Nothing is inherited, nothing calls home, and local backends are allowed, as compose file and README do."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "data"),
        "LABEL_STUDIO_HOST": server.url,
        "LABEL_STUDIO_USERNAME": EMAIL,
        "LABEL_STUDIO_PASSWORD": PASSWORD,
        "LABEL_STUDIO_USER_TOKEN": LEGACY_TOKEN,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(server.files),
        "ML_BLOCK_LOCAL_IP": "false",
        "SSRF_PROTECTION_ENABLED": "false",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "DEBUG": "false",
        # It gives a backend a second; a machine that starts and drives all this at once may need more.
        "ML_CONNECTION_TIMEOUT": "30",
        "ML_TIMEOUT_HEALTH": "30",
        "ML_TIMEOUT_SETUP": "30",
        "WEBHOOK_TIMEOUT": "30",
    }
