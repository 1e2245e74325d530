"""Something at Redis's address that answers all commands alike, or as an empty Redis, at once or after a while."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

EMPTY = {
    b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n",
    b"LRANGE": b"*0\r\n",
    b"EXPIRE": b":0\r\n",
    b"PING": b"+PONG\r\n",
}
"""What an empty Redis says."""


class OddRedis(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, reply: bytes | None, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.seconds = reply, seconds
        self.asked = self.pings = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.server_address[1]}/0"


class Handler(StreamRequestHandler):
    server: OddRedis

    def handle(self) -> None:
        """A command is an array of strings (the protocol RESP)."""
        while (head := self.rfile.readline()).startswith(b"*"):
            words = []
            for _ in range(int(head[1:])):
                words.append(self.rfile.read(int(self.rfile.readline()[1:])))
                self.rfile.read(2)
            self.server.asked += 1
            self.server.pings += words[0] in {b"PING", b"CLIENT", b"HELLO"}
            time.sleep(self.server.seconds)
            self.wfile.write(self.server.reply or EMPTY.get(words[0], b"+OK\r\n"))


@contextmanager
def odd_redis(reply: bytes | None = None, seconds: float = 0) -> Iterator[OddRedis]:
    with OddRedis(reply, seconds) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
