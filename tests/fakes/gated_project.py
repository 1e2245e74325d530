"""A project whose pictures come when they are let through, so that work on it goes on as long as a test wants."""

from __future__ import annotations

from threading import Event
from typing import Any

from tests.fakes.asking import CONFIG, box
from tests.fakes.project_server import ProjectServer
from tests.fakes.servers import Exchange
from tests.fakes.small_pictures import SIZE, png


class GatedProject(ProjectServer):
    """Its tasks carry a box each. A picture waits for `go` from the one of this number on; for so many seconds."""

    def __init__(self, seconds: float = 60) -> None:
        super().__init__(CONFIG)
        self.go = Event()
        self.gated_from = 0
        answer_otherwise = self.reply_with

        def answer(exchange: Exchange) -> None:
            number = exchange.path.partition("gated-")[2].removesuffix(".png")
            if not number:
                answer_otherwise(exchange)
            else:
                if int(number) >= self.gated_from:
                    self.go.wait(seconds)
                exchange.reply(200, png(int(number)), {"Content-Type": "image/png"})

        self.reply_with = answer

    def add_boxed(self, count: int) -> list[dict[str, Any]]:
        drawn = [{"id": 1, "result": [box(20, 20, 90, 90, SIZE)]}]
        first = len(self.tasks)
        paths = (f"/data/upload/7/gated-{number}.png" for number in range(first, first + count))
        return [self.tasks[number] for number in self.add(*paths, annotations=drawn)]
