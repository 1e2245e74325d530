"""Handing a task's masks over: to the request that waits for them, else to Label Studio, else to whoever asks next."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import orjson

from label_studio_sam2.background.deliveries import Waiting
from label_studio_sam2.context import Context
from label_studio_sam2.labelstudio.api import project_tasks
from label_studio_sam2.labelstudio.api.protocol import Prediction, Task
from label_studio_sam2.request.asker import still_waiting

WRITTEN = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS

ANSWERED, STORED, THERE_ALREADY, KEPT = "answered", "stored", "there already", "kept"
"""What became of a task's masks, in a word."""


@dataclass(frozen=True)
class Delivery:
    """For the tasks of one `project`, made by one model `version`.

    Without `waiting` nobody waits: everything is stored. With it, `keys` name by the task's place what is kept of
    masks that are late. `asked`: when the request came, by `Deliveries.now()`.
    """

    project: int | None
    version: str
    context: Context
    waiting: Waiting | None = None
    keys: Mapping[int, str] | None = None
    asked: float = 0.0

    def deliver(self, place: int, task: Task, prediction: Prediction) -> str:
        """Returns what became of the masks. Raises LabelStudioError."""
        if self.waiting is None or self.keys is None:
            return self._store(self._name(place, task), task, prediction)
        # A copy: orjson's own keeps the buffer that it was written in, often a megabyte, for as long as it is kept.
        entry = bytes(memoryview(orjson.dumps(prediction.entry, option=WRITTEN)))
        waiting, deliveries = self.waiting, self.context.deliveries
        name = self._name(place, task)
        if not waiting.closed and deliveries.give(
            name, lambda: waiting.take(place, entry), lambda: self._there(task), self.asked
        ):
            return ANSWERED
        if self._possible(task):
            return self._store(name, task, prediction)
        if deliveries.elsewhere(name, self.asked):
            return THERE_ALREADY
        deliveries.take_back([name])
        deliveries.keep(self.keys[place], entry)
        return KEPT

    def answer(self, tasks: Mapping[int, Task]) -> dict[int, bytes]:
        """What the request takes of its tasks, by their place; from here on it waits for nothing more."""
        entries = self.waiting.close() if self.waiting is not None else {}
        names = [self._name(place, tasks[place]) for place in entries]
        deliveries = self.context.deliveries
        (deliveries.answered if still_waiting()() else deliveries.take_back)(names)
        return entries

    def delivered(self, task: Task) -> bool:
        """Whether somebody else has stored the task's masks; possible once the request no longer waits."""
        return self.waiting is not None and self.waiting.closed and self._there(task)

    def _store(self, name: Hashable, task: Task, prediction: Prediction) -> str:
        client, number = self.context.label_studio, task.number
        assert number is not None

        def store() -> None:
            client.create_prediction(
                number, prediction.result, model_version=prediction.model_version, score=prediction.score
            )

        stored = self.context.deliveries.store(name, lambda: self._there(task), store)
        return STORED if stored else THERE_ALREADY

    def _possible(self, task: Task) -> bool:
        """Whether there is a Label Studio that takes predictions, and the task is one of its."""
        client = self.context.label_studio
        return bool(client.url and client.key and self.project is not None and task.number is not None)

    def _there(self, task: Task) -> bool:
        """Whether the task has a prediction of this model version by now."""
        if self.project is None or task.number is None or not self._possible(task):
            return False
        return project_tasks.predicted(self.context.label_studio, self.project, task.number, self.version)

    def _name(self, place: int, task: Task) -> tuple[object, ...]:
        """Without a Label Studio by all that it is asked with: whoever asks may number tasks as they like."""
        asked = None if self._possible(task) or self.keys is None else self.keys[place]
        return self.project, task.id, self.version, asked
