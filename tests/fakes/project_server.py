"""A Label Studio with one project: its tasks as the Data Manager lists and filters them, and stored predictions."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fakes.servers import LEGACY, Exchange, LabelStudio

PROJECT = 7
KEY = f"Token {LEGACY}"


class ProjectServer(LabelStudio):
    """`tasks` by id, each with data, annotations and predictions; what is stored is appended to the predictions."""

    def __init__(self, label_config: str) -> None:
        super().__init__()
        self.tasks: dict[int, dict[str, Any]] = {}
        self.api[f"/api/projects/{PROJECT}/"] = {"id": PROJECT, "label_config": label_config}
        answer_otherwise = self.reply_with

        def answer(exchange: Exchange) -> None:
            known = exchange.seen.headers.get("authorization") == KEY
            call = (exchange.command, urlsplit(exchange.path).path) if known else None
            if call == ("GET", "/api/tasks/"):
                self._list(exchange)
            elif call == ("POST", "/api/predictions/"):
                self._store(exchange)
            else:
                answer_otherwise(exchange)

        self.reply_with = answer

    def add(self, *addresses: str, **more: Any) -> list[int]:
        """A task for each picture's address; their ids."""
        first = len(self.tasks) + 1
        for number, address in enumerate(addresses, start=first):
            self.tasks[number] = {
                "id": number,
                "data": {"image": address},
                "annotations": [],
                "predictions": [],
                "project": PROJECT,
            } | more
        return list(range(first, first + len(addresses)))

    def predictions(self, task: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.tasks[task]["predictions"]
        return found

    def _list(self, exchange: Exchange) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(exchange.path).query).items()}
        asked = json.loads(query["query"])
        assert asked["ordering"] == ["tasks:id"]
        assert query["project"] == str(PROJECT)
        found = [
            task
            for task in self.tasks.values()
            if all(passes(task, one) for one in asked["filters"]["items"])
        ]
        page = found[: int(query["page_size"])]
        if query.get("fields") != "all":
            page = [{"id": task["id"], "data": task["data"]} for task in page]
        exchange.json(200, {"total": len(found), "tasks": page})

    def _store(self, exchange: Exchange) -> None:
        prediction = json.loads(exchange.seen.body)
        assert prediction["model_version"]
        self.tasks[prediction["task"]]["predictions"] = [*self.predictions(prediction["task"]), prediction]
        exchange.json(201, prediction)


def passes(task: dict[str, Any], condition: dict[str, Any]) -> bool:
    """As the Data Manager of 1.23.2 filters: by the id, by how many annotations were submitted, or by a part of the
    predictions' model versions."""
    value = condition["value"]
    if condition["filter"] == "filter:tasks:total_annotations":
        assert condition["type"] == "Number"
        return bool(
            submitted(task) > value if condition["operator"] == "greater" else submitted(task) == value
        )
    if condition["filter"] == "filter:tasks:id":
        assert condition["type"] == "Number"
        return bool(task["id"] > value if condition["operator"] == "greater" else task["id"] == value)
    assert condition["filter"] == "filter:tasks:predictions_model_versions"
    has = any(part in one["model_version"] for one in task["predictions"] for part in value)
    return has if condition["operator"] == "contains" else not has


def submitted(task: dict[str, Any]) -> int:
    """How many of a task's annotations count: skipped ones don't."""
    return sum(not annotation.get("was_cancelled") for annotation in task["annotations"])
