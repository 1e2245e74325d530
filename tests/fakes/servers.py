"""HTTP servers on real sockets: a Label Studio that serves media, and sites that misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One request and the means to answer it, well or badly."""

    server: Site
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        pass

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen = Seen(self.command, self.path, headers, self.rfile.read(length))
        self.server.seen.append(self.seen)
        self.server.reply_with(self)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  the names http.server looks for

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def json(self, status: int, value: object) -> None:
        self.reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def redirect(self, location: str, status: int = 302) -> None:
        self.reply(status, headers={"Location": location})

    def hang_up(self) -> None:
        self.close_connection = True

    def drip(self, chunk: bytes) -> None:
        """Send a chunk again and again, slowly, until the other side has had enough or the test is over."""
        while not self.server.over.wait(0.01):
            self.wfile.write(chunk)
            self.wfile.flush()


class Site(ThreadingHTTPServer):
    """A server that answers every request with one function."""

    daemon_threads = True

    def __init__(self, reply_with: Callable[[Exchange], object]) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.reply_with = reply_with
        self.seen: list[Seen] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


S = TypeVar("S", bound=Site)


@contextmanager
def serving(site: S) -> Iterator[S]:
    thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        site.shutdown()
        thread.join()
        site.server_close()


LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = "head.personal-access-token.signature"
RANGE_BYTES = 8


def access_token(number: int, seconds: int = 300) -> str:
    claims = json.dumps({"iat": 1000, "exp": 1000 + seconds, "jti": number}).encode()
    return f"head.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"


class LabelStudio(Site):
    """As Label Studio 1.23.2 answers: files and API only with a key, cloud URIs through /tasks/<id>/resolve/.

    A storage maps a URI to where it redirects (text) or to what it proxies (bytes, `RANGE_BYTES` to a range).
    """

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.files: dict[str, bytes] = {}
        self.api: dict[str, object] = {}
        self.storage: dict[str, str | bytes] = {}
        self.legacy_allowed = True
        self.issued = 0
        self.accepted = {f"Token {LEGACY}"}
        self.cut_proxied_at: int | None = None

    def expire_access_tokens(self) -> None:
        self.accepted = {f"Token {LEGACY}"}

    def requests(self, start: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.startswith(start)]

    def _answer(self, exchange: Exchange) -> None:
        path = urlsplit(exchange.path).path
        if path == "/api/token/refresh":
            self._refresh(exchange)
        elif self._known(exchange):
            if path.startswith("/tasks/"):
                self._resolve(exchange)
            elif exchange.path in self.files:
                self._file(exchange, self.files[exchange.path])
            elif exchange.path in self.api:
                exchange.json(200, self.api[exchange.path])
            else:
                exchange.json(404, {"detail": "Not found."})

    def _known(self, exchange: Exchange) -> bool:
        key = exchange.seen.headers.get("authorization", "")
        if key == f"Token {LEGACY}" and not self.legacy_allowed:
            detail = "Authentication token no longer valid: legacy token authentication has been disabled"
            exchange.json(401, {"detail": f"{detail} for this organization"})
        elif key in self.accepted:
            return True
        else:
            exchange.json(401, {"detail": "Authentication credentials were not provided."})
        return False

    def _refresh(self, exchange: Exchange) -> None:
        if json.loads(exchange.seen.body) != {"refresh": PERSONAL}:
            exchange.json(401, {"detail": "Token is invalid or expired", "code": "token_not_valid"})
            return
        self.issued += 1
        access = access_token(self.issued)
        self.accepted.add(f"Bearer {access}")
        exchange.json(200, {"access": access})

    def _file(self, exchange: Exchange, content: bytes) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if exchange.seen.headers.get("if-none-match") == etag:
            exchange.reply(304)
        else:
            exchange.reply(200, content, {"ETag": etag})

    def _resolve(self, exchange: Exchange) -> None:
        uri = base64.urlsafe_b64decode(parse_qs(urlsplit(exchange.path).query)["fileuri"][0]).decode()
        target = self.storage.get(uri)
        if target is None:
            exchange.reply(404)
        elif isinstance(target, str):
            exchange.redirect(target, 303)
        else:
            self._proxy(exchange, target)

    def _proxy(self, exchange: Exchange, content: bytes) -> None:
        etag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
        asked = exchange.seen.headers.get("range")
        if asked is None:
            exchange.start(200, {"Content-Length": str(len(content)), **etag})
            exchange.wfile.write(content[: self.cut_proxied_at])
            if self.cut_proxied_at is not None:
                exchange.hang_up()
            return
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        part = content[start : start + RANGE_BYTES]
        end = start + len(part) - 1
        exchange.reply(206, part, {"Content-Range": f"bytes {start}-{end}/{len(content)}", **etag})
