"""Label Studio's API, as far as this service needs it, with errors that name the variable to set.

label-studio-sdk's own client isn't used for calls: it takes a personal access token's expiry from this
machine's clock, doesn't renew upon a 401, drops the path of a URL such as https://host/label-studio when it
refreshes, and the media fetcher, which decides at every redirect whether the key may go along, needs the
header by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Self

import httpx

from label_studio_sam2.errors import LabelStudioError, LabelStudioRefusal
from label_studio_sam2.labelstudio.api import advice
from label_studio_sam2.labelstudio.api.tokens import AccessKey
from label_studio_sam2.labelstudio.api.trying_again import NOT_DONE, PASSING, Patience
from label_studio_sam2.labelstudio.media.hosts import with_host
from label_studio_sam2.outgoing.ways import DIRECT, Outgoing
from label_studio_sam2.settings import Settings

CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
REFRESH_SECONDS = 10.0
UPLOAD_SECONDS = 600.0
PAGE_SIZE = 100
DETAIL_CHARACTERS = 300

NO_JSON = object()

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
        outgoing: Outgoing = DIRECT,
        read_seconds: float = READ_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = _checked(url)
        self.key = AccessKey(api_key, self._exchange, now=now)
        self.outgoing = outgoing
        self._proxy = outgoing.proxies.way_to(httpx.URL(self.url))
        self._http = outgoing.client(
            base_url=self.url, timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The one that the settings name."""
        key = settings.label_studio_api_key.get_secret_value()
        return cls(settings.label_studio_url, key, outgoing=Outgoing.of(settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> JSON:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: JSON) -> JSON:
        return self.call("POST", path, json=body)

    def patch(self, path: str, body: JSON) -> JSON:
        return self.call("PATCH", path, json=body)

    def call(self, method: str, path: str, **request: Any) -> JSON:
        """One call of the API, `path` from the root (`/api/…`), with what httpx calls `params`, `json` or `files`: its
        JSON, None where there is no body."""
        header = self.key.authorization()
        response = self._patiently(method, path, header, **request)
        if response.status_code == 401 and (renewed := self.key.authorization(refused=header)) != header:
            response = self._patiently(method, path, renewed, **request)
        return self._json(response, f"{method} {path}")

    def project(self, project_id: int) -> JSON:
        try:
            return self.get(f"/api/projects/{project_id}/")
        except LabelStudioRefusal as refusal:
            if refusal.answered != httpx.codes.NOT_FOUND:
                raise
            raise LabelStudioRefusal(
                advice.no_project(project_id), refusal.answered, refusal.said
            ) from refusal

    def projects(self) -> Iterator[JSON]:
        """The newest first, a page at a time."""
        page, seen = 1, 0
        while True:
            answer = self.get("/api/projects/", {"page": page, "page_size": PAGE_SIZE})
            yield from answer["results"]
            seen += len(answer["results"])
            if not answer["results"] or seen >= answer["count"]:
                return
            page += 1

    def project_count(self) -> int:
        """How many projects there are, to this key."""
        return int(self.get("/api/projects/", {"page": 1, "page_size": 1})["count"])

    def ml_backends(self, project_id: int) -> list[JSON]:
        """A project's ML backends in the order in which the editor looks for one; Label Studio asks each for its
        health before it answers."""
        return list(self.get("/api/ml/", {"project": project_id}))

    def upload(self, project_id: int, name: str, file: IO[bytes]) -> JSON:
        """Imports one file as a task of its own."""
        timeout = httpx.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS)
        path = f"/api/projects/{project_id}/import"
        return self.call("POST", path, files={"file": (name, file)}, timeout=timeout)

    def create_prediction(
        self, task_id: int, result: list[JSON], *, model_version: str, score: float | None = None
    ) -> JSON:
        body = {"task": task_id, "result": result, "score": score, "model_version": model_version}
        return self.post("/api/predictions/", body)

    def _patiently(self, method: str, path: str, authorization: str | None, **request: Any) -> httpx.Response:
        """Asked again where Label Studio is busy and the request may be repeated; an upload's file has been read."""
        patience, passing = Patience(), PASSING if method == "GET" else NOT_DONE
        while True:
            response = self._send(method, path, authorization, **request)
            again = response.status_code in passing and "files" not in request
            pause = patience.pause(response.headers) if again else None
            if pause is None:
                return response
            time.sleep(pause)

    def _send(self, method: str, path: str, authorization: str | None, **request: Any) -> httpx.Response:
        if not self.url:
            raise LabelStudioError("LABEL_STUDIO_URL isn't set: set it to where Label Studio answers.")
        headers = {"Authorization": authorization} if authorization else None
        try:
            return self._http.request(method, path, headers=headers, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            raise LabelStudioError(advice.unreachable(self.url, problem, self._proxy)) from problem

    def _json(self, response: httpx.Response, what: str) -> JSON:
        if response.is_redirect:
            raise LabelStudioError(
                f"Label Studio redirects {what} to {_shown(response.headers.get('location', ''))}: "
                "set LABEL_STUDIO_URL to the address that it wants to be called by."
            )
        body = _parsed(response)
        if self._proxy and response.is_error and (body is None or body is NO_JSON):
            raise LabelStudioError(advice.behind(self._proxy, self.url, response.status_code))
        if response.is_error and advice.is_backend(body):
            raise LabelStudioError(advice.own_address(self.url))
        if response.status_code in {401, 403}:
            text = advice.refusal(self.key, response.status_code, response.text, what)
            raise LabelStudioRefusal(text, response.status_code, response.text)
        if response.status_code in NOT_DONE:
            text = f"Label Studio is busy ({response.status_code} to {what}): try again soon."
            raise LabelStudioRefusal(text, response.status_code, response.text)
        if body is NO_JSON and not response.is_server_error:
            raise LabelStudioError(
                advice.not_label_studio(self.url, f"{what} gives {response.status_code} and no JSON")
            )
        if response.is_error:
            text = f"Label Studio answers {what} with {response.status_code}: {_detail(body)}"
            raise LabelStudioRefusal(text, response.status_code, response.text)
        return body

    def _exchange(self, personal_access_token: str) -> str:
        body = {"refresh": personal_access_token}
        response = self._patiently("POST", "/api/token/refresh", None, json=body, timeout=REFRESH_SECONDS)
        if response.status_code in {400, 401, 403}:
            raise LabelStudioError(advice.refusal(self.key, 401, "", "a token"))
        answer = self._json(response, "POST /api/token/refresh")
        access = answer.get("access") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise LabelStudioError(
                f"{self.url} answers POST /api/token/refresh without an access token: check that "
                "LABEL_STUDIO_URL is Label Studio's own address."
            )
        return access


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


def _parsed(response: httpx.Response) -> JSON:
    """The answer's JSON, None where there is no body, NO_JSON where it is none."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return NO_JSON


def _detail(body: JSON) -> str:
    """What Label Studio's error answer says of itself, short."""
    if body in (None, NO_JSON):
        return "no reason given. Its log has it."
    said = body.get("validation_errors") or body.get("detail") if isinstance(body, dict) else body
    return str(said)[:DETAIL_CHARACTERS]
