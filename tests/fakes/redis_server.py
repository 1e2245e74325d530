"""A real redis-server that tests start, kill and start again; it listens on a unix socket only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import redis


@dataclass
class RedisServer:
    folder: Path
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self, *options: str) -> None:
        """Starts it and waits until it takes connections."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir"]
        self._process = subprocess.Popen(
            [*command, str(self.folder), *self.options, *options], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "eady to accept connections" in line:
                return
        raise RuntimeError("redis-server didn't start")

    def kill(self) -> None:
        """As a crash or a power cut does it; what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            yield client


@contextmanager
def running(*options: str) -> Iterator[RedisServer]:
    """A server with these options; its folder has a short name: a socket's path has at most 107 bytes."""
    with TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
