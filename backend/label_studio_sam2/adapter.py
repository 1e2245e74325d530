"""The same use cases behind label-studio-ml: for those who run all their backends with `label-studio-ml start`.

    # model.py, for `label-studio-ml init sam2 --script model.py:Sam2`
    from label_studio_sam2.adapter import Sam2

It fits the release 1.0.9 and the newer code of its repository, in which `predict` takes the context by name, `fit` an
event and its data, and a model is made for every request. Settings come from the same environment variables.
Install label-studio-ml with `pip install --no-deps`: 1.0.9 pins Flask 1.1.2 and a package that overwrites attrs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from threading import Event
from typing import Any, ClassVar

from label_studio_ml.model import LabelStudioMLBase

from label_studio_sam2.context import Context
from label_studio_sam2.errors import NotReady
from label_studio_sam2.labelstudio.api.protocol import PredictRequest, WebhookEvent, project_id
from label_studio_sam2.learning import webhooks
from label_studio_sam2.predict import predict
from label_studio_sam2.settings import Settings

POLL_SECONDS = 0.1


@lru_cache(maxsize=1)
def the_context(settings: Settings) -> Context:
    """The process's one context: label-studio-ml makes a model for each set-up, or even for each request.

    It is never closed, for label-studio-ml tells nobody when it ends.
    """
    context = Context(settings)
    context.open()
    return context


class Sam2(LabelStudioMLBase):  # type: ignore[misc]  # label-studio-ml has no types
    """Answers as this package's own service does; a subclass may set `settings`, else the environment is read."""

    TRAIN_EVENTS = (webhooks.START, *sorted(webhooks.COUNTED))
    settings: ClassVar[Settings | None] = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if named.get("hostname"):
            self.context.hosts.recognise(named["hostname"])

    @property
    def context(self) -> Context:
        return the_context(type(self).settings or Settings())

    def setup(self) -> None:
        """Called by the newer constructor."""
        self.set("model_version", self.context.model_version(project_id(self.project_id)))

    def predict(
        self, tasks: list[dict[str, Any]], context: dict[str, Any] | None = None, **params: Any
    ) -> list[Any]:
        """An entry a task: a prediction, or an empty list where there is none. Raises ServiceErrors."""
        body = {
            "tasks": tasks,
            "project": getattr(self, "project_id", None)
            or next((task.get("project") for task in tasks), None),
            "label_config": self.label_config,
            "params": {**params, "context": context},
        }
        results: list[Any] = predict(PredictRequest.model_validate(body), self.context)["results"]
        return results

    def fit(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Takes an event of Label Studio: by place (newer), or by name, in a process of its own, which has to wait."""
        event, data = (
            given
            if len(given) == 2 and isinstance(given[0], str)
            else (named.get("event"), named.get("data"))
        )
        if not event:
            return {}
        message = WebhookEvent.model_validate({**(data or {}), "action": event})
        if "job_id" not in named:
            return webhooks.webhook(message, self.context)
        _wait(self._is_ready)
        if (job := webhooks.begun(message, self.context)) is None:
            return {"status": "accepted", "action": message.action}
        job.wait()
        return job.snapshot()

    def _is_ready(self) -> bool:
        try:
            self.context.segmenter()
        except NotReady:
            return False
        return True


def _wait(until: Callable[[], bool]) -> None:
    never = Event()
    while not until():
        never.wait(POLL_SECONDS)
