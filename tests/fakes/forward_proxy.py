"""A company's proxy on a real socket: it alone knows the names of the machines behind it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from subprocess import run
from threading import Thread
from urllib.parse import urlsplit

from tests.fakes.servers import Exchange, Site


class ForwardProxy(Site):
    """Forwards http:// and tunnels https://. `behind` says which port of this machine answers for which name. Where
    `wanted` is set, it is the Proxy-Authorization without which nothing is let through."""

    def __init__(self, behind: Mapping[str, int], wanted: str = "") -> None:
        super().__init__(self._forward)
        self.behind = behind
        self.wanted = wanted
        self.asked: list[str] = []
        self.RequestHandlerClass = Tunnelling

    def admitted(self, exchange: Exchange, name: str) -> bool:
        self.asked.append(name)
        if self.wanted and exchange.headers.get("Proxy-Authorization") != self.wanted:
            exchange.reply(407, b"<h1>Who are you?</h1>")
        elif name not in self.behind:
            exchange.reply(403, b"<h1>Forbidden by policy</h1>")
        else:
            return True
        return False

    def _forward(self, exchange: Exchange) -> None:
        url = urlsplit(exchange.path)
        if not self.admitted(exchange, url.hostname or ""):
            return
        onward = HTTPConnection("127.0.0.1", self.behind[url.hostname or ""])
        headers = {
            name: value for name, value in exchange.seen.headers.items() if name != "proxy-authorization"
        }
        path = f"{url.path}?{url.query}" if url.query else url.path
        onward.request(exchange.command, path, exchange.seen.body, headers)
        answer = onward.getresponse()
        body = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() == "content-type"}
        exchange.reply(answer.status, body, kept)
        onward.close()


class Tunnelling(Exchange):
    server: ForwardProxy

    def do_CONNECT(self) -> None:  # noqa: N802  the name http.server looks for
        name = self.path.rpartition(":")[0]
        if not self.server.admitted(self, name):
            return
        self.start(200, {})
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", self.server.behind[name])) as there:
            back = Thread(target=_copy, args=(there, self.connection))
            back.start()
            _copy(self.connection, there)
            back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while chunk := source.recv(1 << 16):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def certificate(folder: Path, *names: str) -> Path:
    """A private authority's certificate for these names, with its key."""
    path = folder / "certificate.pem"
    named = ",".join(f"DNS:{name}" for name in names) + ",IP:127.0.0.1"
    subject = ["-subj", "/CN=private", "-addext", f"subjectAltName={named}"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    run(
        [*command, "-days", "2", *subject, "-keyout", path, "-out", f"{path}.crt"],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def speaking_tls(site: Site, certificate: Path) -> Site:
    """Before it serves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site.socket = context.wrap_socket(site.socket, server_side=True, do_handshake_on_connect=False)
    return site
