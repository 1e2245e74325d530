"""A service inside of which something breaks that nobody expected."""

from __future__ import annotations

from label_studio_sam2.context import Context
from label_studio_sam2.engine.model import Model
from label_studio_sam2.settings import Settings


class Failing(Context):
    """Whoever needs the model gets the error instead."""

    def __init__(self, settings: Settings, error: Exception) -> None:
        super().__init__(settings)
        self._error = error

    def model(self, project: int | None) -> Model:
        raise self._error

    def model_version(self, project: int | None = None) -> str:
        return "broken"
