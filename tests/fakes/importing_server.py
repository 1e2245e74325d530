"""A Label Studio with one project that takes pictures, tasks by address, annotations and predictions."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from tests.fakes.label_studio_server import FILE
from tests.fakes.project_server import KEY, PROJECT, ProjectServer
from tests.fakes.servers import Exchange


class ImportingServer(ProjectServer):
    """After `fails_after` writes it answers with an error, as one that is restarted in between."""

    def __init__(self, label_config: str) -> None:
        super().__init__(label_config)
        self.fails_after: int | None = None
        self.writes = 0
        answer_otherwise = self.reply_with

        def answer(exchange: Exchange) -> None:
            path = urlsplit(exchange.path).path.strip("/").split("/")
            if exchange.command != "POST" or exchange.seen.headers.get("authorization") != KEY:
                answer_otherwise(exchange)
                return
            self.writes += 1
            if self.fails_after is not None and self.writes > self.fails_after:
                exchange.json(500, {"detail": "A server error."})
            elif path == ["api", "projects", str(PROJECT), "import"]:
                self._import(exchange)
            elif path[:2] == ["api", "tasks"] and path[3] == "annotations":
                self._annotate(exchange, int(path[2]))
            else:
                answer_otherwise(exchange)

        self.reply_with = answer

    def _import(self, exchange: Exchange) -> None:
        body = exchange.seen.body
        if exchange.seen.headers["content-type"] == "application/json":
            rows: list[Any] = json.loads(body)
            addresses = [row["data"]["image"] for row in rows]
        else:
            found = FILE.search(body)
            assert found is not None
            stored = f"/data/upload/{PROJECT}/{len(self.tasks):08x}-{found[1].decode().replace(' ', '_')}"
            self.files[stored] = found[2]
            addresses = [stored]
        self.add(*addresses)
        exchange.json(201, {"task_count": len(addresses)})

    def _annotate(self, exchange: Exchange, task: int) -> None:
        made = json.loads(exchange.seen.body) | {"id": 1000 + self.writes, "was_cancelled": False}
        self.tasks[task]["annotations"] = [*self.tasks[task]["annotations"], made]
        exchange.json(201, made)
