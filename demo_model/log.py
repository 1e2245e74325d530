"""What a training run writes down as it goes."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LOG_EVERY = 20  # steps


class Log:
    """Figures averaged over some steps, a JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[str, list[float]] = {}
        self._steps = 0
        self._began = time.monotonic()

    def add(self, progress: DataclassInstance, figures: dict[str, float]) -> None:
        """Count a step; write a line when enough have come together."""
        self._steps += 1
        for name, value in figures.items():
            self._sums.setdefault(name, []).append(value)
        if self._steps == _LOG_EVERY:
            self._write(progress)

    def _write(self, progress: DataclassInstance) -> None:
        seconds = (time.monotonic() - self._began) / self._steps
        means = {name: round(sum(values) / len(values), 4) for name, values in self._sums.items()}
        line: dict[str, Any] = asdict(progress) | {"seconds_a_step": round(seconds, 3)} | means
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self._sums, self._steps, self._began = {}, 0, time.monotonic()
