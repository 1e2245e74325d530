"""The bodies that Label Studio 1.23.2 sends and the shapes of our answers. Lenient: unknown keys are ignored, keys
that it may omit have defaults; a wrong type is pydantic's ValidationError.

Earlier annotations, drafts and predictions carry megabytes of masks: nothing of them is validated or copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

Region = dict[str, Any]
"""One item of a `result` list, as Label Studio writes it."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Task(_Body):
    """One task. `annotations` and `predictions` are as they came."""

    id: int | str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    annotations: Any = None
    predictions: Any = None


class Context(_Body):
    """What the editor's smart tools send, or whatever a caller of the API put there."""

    result: list[Region] = Field(default_factory=list)
    event: str | None = None
    everything: bool = False

    @field_validator("result", mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value


class Params(_Body):
    context: Context | None = None
    everything: bool = False


class PredictRequest(_Body):
    """POST /predict: interactive with a context, otherwise a batch, or a task that was opened."""

    tasks: list[Task] = Field(default_factory=list)
    project: str | int | None = None
    label_config: str | None = None
    params: Params | None = None

    @property
    def context(self) -> Context | None:
        return self.params.context if self.params else None

    @property
    def everything(self) -> bool:
        """Whether every object is asked for, whatever the config says: over the API, in params or in the context."""
        return bool(self.params and (self.params.everything or (self.context and self.context.everything)))

    @property
    def project_id(self) -> int | None:
        return project_id(self.project)


class SetupRequest(_Body):
    """POST /setup."""

    project: str | int | None = None
    label_config: str | None = Field(None, validation_alias="schema")
    hostname: str | None = None
    access_token: str | None = None
    extra_params: Any = None

    @property
    def project_id(self) -> int | None:
        return project_id(self.project)


class WebhookEvent(_Body):
    """POST /webhook; `project`, `task` and `annotation` are as they came."""

    action: str = ""
    project: Any = None
    task: Any = None
    annotation: Any = None

    @property
    def project_id(self) -> int | None:
        return project_id(self.project.get("id") if isinstance(self.project, dict) else self.project)


def project_id(project: Any) -> int | None:
    """The id in "ID.UNIXTIME", as Label Studio names a project."""
    number = str(project).partition(".")[0]
    return int(number) if number.isascii() and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is answered for one task. Label Studio stores nothing of a batch in which a model_version is missing."""

    result: list[Region]
    score: float | None
    model_version: str


def predict_response(predictions: Sequence[Prediction | None]) -> dict[str, Any]:
    """The answer to /predict, one entry a task, in their order.

    None leaves a task as it is: Label Studio stores nothing for an empty list, but an empty prediction for an empty
    result.
    """
    return {"results": [[] if one is None else _entry(one) for one in predictions]}


def _entry(prediction: Prediction) -> dict[str, Any]:
    return {"result": prediction.result, "score": prediction.score, "model_version": prediction.model_version}
