"""The bodies that Label Studio 1.23.2 sends and the shapes of our answers. Lenient: unknown keys are ignored, keys
that it may omit or send as null have defaults; a wrong type is pydantic's ValidationError, but in one task of many or
one region of many, which must not take the others along.

Earlier annotations, drafts and predictions carry megabytes of masks: nothing of them is validated or copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Region = dict[str, Any]
"""One item of a `result` list, as Label Studio writes it."""

MOST_DIGITS = 18
"""Of a project's number: what has more is none that Label Studio gave."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


def _or_empty(empty: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: empty if value is None else value)


def _else(empty: Any, *types: type) -> BeforeValidator:
    return BeforeValidator(lambda value: value if isinstance(value, types) else empty)


Flag = Annotated[bool, _or_empty(False)]


class Task(_Body):
    """One task. `annotations`, `predictions` and its `drafts`, what the annotator hasn't submitted yet, are as they
    came; what is no object holds no data."""

    id: Annotated[int | str | None, _else(None, int, str)] = None
    data: Annotated[dict[str, Any], _else({}, dict)] = Field(default_factory=dict)
    annotations: Any = None
    predictions: Any = None
    unsubmitted: Any = Field(default=None, alias="drafts")

    @property
    def number(self) -> int | None:
        """Its id where it is one that Label Studio gave; a caller of the API may send any text, or none."""
        return self.id if isinstance(self.id, int) else None


class Interactive(_Body):
    """What the editor's smart tools send, or whatever a caller of the API put there: items of `result` may be none."""

    result: Annotated[list[Any], _or_empty([])] = Field(default_factory=list)
    event: str | None = None
    everything: Flag = False

    @property
    def regions(self) -> list[Region]:
        """The items that may be regions."""
        return [item for item in self.result if isinstance(item, dict)]


class Params(_Body):
    context: Interactive | None = None
    everything: Flag = False


class PredictRequest(_Body):
    """POST /predict: interactive with a context, otherwise a batch, or a task that was opened."""

    tasks: Annotated[list[Annotated[Task, _else({}, dict)]], _or_empty([])] = Field(default_factory=list)
    project: str | int | None = None
    label_config: str | None = None
    params: Params | None = None

    @property
    def interactive(self) -> Interactive | None:
        """What an annotator drew; None in a batch, and where a task is opened."""
        return self.params.context if self.params else None

    @property
    def everything(self) -> bool:
        """Whether every object is asked for, whatever the config says: over the API, in params or in the context."""
        return bool(
            self.params and (self.params.everything or (self.interactive and self.interactive.everything))
        )

    @property
    def project_id(self) -> int | None:
        return project_id(self.project)


class SetupRequest(_Body):
    """POST /setup."""

    project: str | int | None = None
    label_config: str | None = Field(None, validation_alias="schema")
    hostname: str | None = None

    @property
    def project_id(self) -> int | None:
        return project_id(self.project)


class WebhookEvent(_Body):
    """POST /webhook; `project` is as it came."""

    action: str = ""
    project: Any = None

    @property
    def project_id(self) -> int | None:
        return project_id(self.project.get("id") if isinstance(self.project, dict) else self.project)

    @property
    def label_config(self) -> Any:
        """As it came with the project; None where none did."""
        return self.project.get("label_config") if isinstance(self.project, dict) else None


def project_id(project: Any) -> int | None:
    """The id in "ID.UNIXTIME", as Label Studio names a project; None for what can't be one."""
    number = str(project).partition(".")[0] if isinstance(project, str | int) else ""
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS else None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is answered for one task. Label Studio stores nothing of a batch in which a model_version is missing.

    `left_out` says of each region that couldn't be used what is wrong with it, `unlabelled` of words why what they
    found has no label; the answer has no place for either.
    """

    result: list[Region]
    score: float | None
    model_version: str
    left_out: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()

    @property
    def entry(self) -> dict[str, Any]:
        """As it stands in an answer."""
        return {"result": self.result, "score": self.score, "model_version": self.model_version}


def predict_response(prediction: Prediction) -> dict[str, Any]:
    """The answer to an interactive /predict."""
    return {"results": [prediction.entry]}
