"""POST /versions: which of a project's versions answers its clicks from now on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from label_studio_sam2.context import Context


class VersionChoice(BaseModel):
    """`use`: a version's number, 0 for the base model, or what was in use before."""

    project: int = Field(gt=0)
    use: Literal["previous"] | Annotated[int, Field(strict=True, ge=0)]


def choose(asked: VersionChoice, context: Context) -> dict[str, Any]:
    """What is in use now; None: the base model. Raises UnknownVersion."""
    if isinstance(asked.use, int):
        context.tuned.use(asked.project, asked.use or None)
    else:
        context.tuned.rollback(asked.project)
    return {"project": asked.project, "in_use": context.tuned.active(asked.project)}
