"""The shapes of answers. They describe and are tested against what is answered; answers aren't made of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Every error has this form."""

    detail: str = Field(description="what is wrong and what to change")
    error: str = Field(description="its kind", examples=["MediaUnavailable"])


class Region(BaseModel):
    """One item of Label Studio's `result`, here with a mask, or what else its tag holds, in `value`."""

    id: str
    from_name: str
    to_name: str
    type: str
    value: dict[str, Any] = Field(
        description="by the tag: `rle`, `imageDataURL`, `points`, a box, a sequence"
    )
    origin: str | None = None
    original_width: int | None = None
    original_height: int | None = None
    score: float | None = Field(None, description="the model's own estimate of the mask's IoU")
    meta: dict[str, Any] | None = None


class Prediction(BaseModel):
    result: list[Region]
    score: float | None
    model_version: str = Field(examples=["sam2.1_hiera_small-6d1aa6f3"])


class Predictions(BaseModel):
    """An entry a task. In a batch they are empty lists: masks are stored in Label Studio as they come."""

    results: list[Prediction | list[Region]]


class Version(BaseModel):
    model_version: str


class Ready(Version):
    status: Literal["READY"]


class Health(Version):
    status: Literal["UP"]
    model_class: Literal["SAM2"]
    version: str = Field(description="this service's own")


class Check(BaseModel):
    name: str
    state: Literal["ok", "warning", "problem"]
    sentence: str
    remedy: str
    project: int | None = None


class Checks(BaseModel):
    found: list[Check]
    at: str | None = Field(description="when the last look ended; ISO 8601, UTC")
    running: bool


class Progress(BaseModel):
    done: int
    total: int | None
    unit: str


class Job(BaseModel):
    id: str
    kind: str
    title: str
    state: Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
    progress: Progress
    message: str
    result: dict[str, Any] | None
    created: str
    started: str | None
    finished: str | None


class Jobs(BaseModel):
    """The newest first."""

    jobs: list[Job]


class Trouble(BaseModel):
    error: str
    detail: str
    at: str


class Status(Health):
    model: str
    ready: bool
    reason: str | None = Field(description="why it isn't ready")
    device: str | None
    label_studio: str
    cache: dict[str, float]
    queue: dict[str, float]
    jobs: list[Job]
    problems: dict[str, Trouble] = Field(description="the last of each project")
    checks: Checks


class TunedVersion(BaseModel):
    project: int
    number: int
    base: str
    base_hash: str
    sha256: str
    accepted: bool
    reason: str
    created: str
    counts: dict[str, Any]
    figures: dict[str, Any]
    report: str


class Versions(BaseModel):
    versions: list[str] = Field(description="every `model_version` there is")
    tuned: list[TunedVersion]
    in_use: dict[str, int | None] = Field(description="by project; null: the base model")


class InUse(BaseModel):
    project: int
    in_use: int | None = Field(description="a version's number; null: the base model")


class EventTaken(BaseModel):
    status: Literal["accepted"]
    action: str
    job: str | None = Field(None, description="of the tuning that it began")
