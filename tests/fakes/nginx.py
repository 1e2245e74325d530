"""A real nginx with TLS, in front of what tests run."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.eventually import eventually

MAIN = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@contextmanager
def running(server: str, port: int, folder: Path) -> Iterator[str]:
    """Its address, while it runs with this `server` block, which listens on `port`."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert program, "These tests need nginx: `make system` installs it on Debian."
    config = folder / "nginx.conf"
    config.write_text(MAIN.format(folder=folder, server=server))
    process = subprocess.Popen([program, "-p", folder, "-e", "stderr", "-c", config])
    try:
        eventually(lambda: listens(port), seconds=10)
        yield f"https://localhost:{port}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
