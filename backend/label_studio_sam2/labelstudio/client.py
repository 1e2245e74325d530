"""Label Studio's API, as far as this service needs it, with errors that name the variable to set.

label-studio-sdk's own client isn't used for calls: it takes a personal access token's expiry from this
machine's clock, doesn't renew upon a 401, drops the path of a URL such as https://host/label-studio when it
refreshes, and the media fetcher, which decides at every redirect whether the key may go along, needs the
header by itself.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Self

import certifi
import httpx

from label_studio_sam2.errors import LabelStudioError, LabelStudioRefusal
from label_studio_sam2.labelstudio.addresses import with_host
from label_studio_sam2.labelstudio.tokens import AccessKey

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
REFRESH_SECONDS = 10.0
UPLOAD_SECONDS = 600.0
PAGE_SIZE = 100
DETAIL_CHARACTERS = 300

LEGACY_DISABLED = "legacy token authentication has been disabled"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  compared with, not bound to

JSON = Any
"""Label Studio's objects: too many fields, over too many versions, to be typed here."""


class LabelStudioClient:
    """One Label Studio, reached with one key; threads may share it. An empty `url` means that none is set.

    Every failure is a LabelStudioError whose text says what to change.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        read_seconds: float = READ_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = _checked(url)
        self.key = AccessKey(api_key, self._exchange, now=now)
        self.tls = tls_context()
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
            verify=self.tls,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> JSON:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: JSON) -> JSON:
        return self.call("POST", path, body=body)

    def patch(self, path: str, body: JSON) -> JSON:
        return self.call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        self.call("DELETE", path)

    def call(
        self, method: str, path: str, *, params: Mapping[str, str | int] | None = None, body: JSON = None
    ) -> JSON:
        """One call of the API, `path` from the root (`/api/…`): its JSON, None where there is no body."""
        header = self.key.authorization()
        response = self._send(method, path, params, body, header)
        if response.status_code == 401 and (renewed := self.key.authorization(refused=header)) != header:
            response = self._send(method, path, params, body, renewed)
        return self._json(response, f"{method} {path}")

    def project(self, project_id: int) -> JSON:
        return self.get(f"/api/projects/{project_id}/")

    def projects(self) -> Iterator[JSON]:
        return self._pages("/api/projects/", {}, "results", "count")

    def tasks(self, project_id: int, *, page_size: int = PAGE_SIZE) -> Iterator[JSON]:
        """All tasks of a project with their annotations and predictions, a page at a time."""
        query: dict[str, str | int] = {"project": project_id, "fields": "all"}
        return self._pages("/api/tasks/", query, "tasks", "total", page_size)

    def annotations(self, task_id: int) -> list[JSON]:
        return list(self.get(f"/api/tasks/{task_id}/annotations/"))

    def ml_backends(self, project_id: int) -> list[JSON]:
        """A project's ML backends in the order in which the editor looks for one; Label Studio asks each for its
        health before it answers."""
        return list(self.get("/api/ml/", {"project": project_id}))

    def upload(self, project_id: int, name: str, file: IO[bytes]) -> JSON:
        """Imports one file as a task of its own."""
        path = f"/api/projects/{project_id}/import"
        header = self.key.authorization()
        request = self._http.build_request(
            "POST",
            path,
            files={"file": (name, file)},
            headers={"Authorization": header} if header else None,
            timeout=httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS),
        )
        try:
            response = self._http.send(request)
        except httpx.HTTPError as problem:
            raise LabelStudioError(self.unreachable(problem)) from problem
        return self._json(response, f"POST {path}")

    def create_prediction(
        self, task_id: int, result: list[JSON], *, model_version: str, score: float | None = None
    ) -> JSON:
        body = {"task": task_id, "result": result, "score": score, "model_version": model_version}
        return self.post("/api/predictions/", body)

    def refusal(self, status: int, body: str, what: str) -> str:
        """What to change when Label Studio answers 401 or 403 to a request for `what`."""
        if not self.key:
            return (
                f"Label Studio wants a key for {what}: set LABEL_STUDIO_API_KEY to a personal access token."
            )
        if LEGACY_DISABLED in body:
            return (
                "Label Studio has legacy tokens switched off, and LABEL_STUDIO_API_KEY holds one: set it to "
                "a personal access token (in Label Studio under Account & Settings)."
            )
        if status == 403:
            return (
                f"Label Studio's user whose key is in LABEL_STUDIO_API_KEY has no access to {what}: "
                "add the user to the project, or set another user's key."
            )
        return (
            "Label Studio refuses the key in LABEL_STUDIO_API_KEY (expired, revoked or another server's): "
            "set a new personal access token."
        )

    def unreachable(self, problem: Exception) -> str:
        """What to change when no connection to Label Studio comes about."""
        reason = (
            "no answer in time" if "Timeout" in type(problem).__name__ else (str(problem) or "no connection")
        )
        text = f"Label Studio can't be reached at {self.url} ({reason}): check LABEL_STUDIO_URL."
        host = httpx.URL(self.url)
        if host.host not in LOOPBACK_NAMES:
            return text
        return (
            f"{text} Inside a container {host.host} is the container itself: "
            f"use http://host.docker.internal:{host.port or 80} or the name of Label Studio's service."
        )

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        body: JSON,
        authorization: str | None,
        *,
        timeout: float | None = None,
    ) -> httpx.Response:
        if not self.url:
            raise LabelStudioError("LABEL_STUDIO_URL isn't set: set it to where Label Studio answers.")
        request = self._http.build_request(
            method,
            path,
            params=params,
            json=body,
            headers={"Authorization": authorization} if authorization else None,
            timeout=timeout if timeout is not None else self._http.timeout,
        )
        try:
            return self._http.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise LabelStudioError(self.unreachable(problem)) from problem

    def _json(self, response: httpx.Response, what: str) -> JSON:
        if response.is_redirect:
            raise LabelStudioError(
                f"Label Studio redirects {what} to {_shown(response.headers.get('location', ''))}: "
                "set LABEL_STUDIO_URL to the address that it wants to be called by."
            )
        if response.status_code in {401, 403}:
            text = self.refusal(response.status_code, response.text, what)
            raise LabelStudioRefusal(text, response.status_code, response.text)
        if response.is_error:
            text = f"Label Studio answers {what} with {response.status_code}: {_detail(response)}"
            raise LabelStudioRefusal(text, response.status_code, response.text)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as problem:
            raise LabelStudioError(
                f"{self.url} answers {what} with something that isn't JSON: check that LABEL_STUDIO_URL is "
                "Label Studio's own address."
            ) from problem

    def _pages(
        self, path: str, query: Mapping[str, str | int], items: str, count: str, size: int = PAGE_SIZE
    ) -> Iterator[JSON]:
        page, seen = 1, 0
        while True:
            answer = self.get(path, {**query, "page": page, "page_size": size})
            yield from answer[items]
            seen += len(answer[items])
            if not answer[items] or seen >= answer[count]:
                return
            page += 1

    def _exchange(self, personal_access_token: str) -> str:
        response = self._send(
            "POST",
            "/api/token/refresh",
            None,
            {"refresh": personal_access_token},
            None,
            timeout=REFRESH_SECONDS,
        )
        if response.status_code in {400, 401, 403}:
            raise LabelStudioError(self.refusal(401, "", "a token"))
        return str(self._json(response, "POST /api/token/refresh")["access"])


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The system's certificates, to which a company adds its own, and Mozilla's where a system has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _checked(url: str) -> str:
    if not url:
        return ""
    try:
        parsed = with_host(httpx.URL(url.strip()))
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise LabelStudioError("LABEL_STUDIO_URL must start with http:// or https:// and name a host.")
    return str(parsed.copy_with(userinfo=b"", query=None, fragment=None)).rstrip("/")


def _shown(location: str) -> str:
    """A redirect's target without its query, which may hold a secret."""
    return location.partition("?")[0] or "nowhere"


def _detail(response: httpx.Response) -> str:
    """What Label Studio's error answer says of itself, short."""
    try:
        body = response.json()
    except ValueError:
        return "no reason given."
    said = body.get("validation_errors") or body.get("detail") if isinstance(body, dict) else body
    return str(said)[:DETAIL_CHARACTERS]
