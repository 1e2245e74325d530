"""A piece of work that waits for the device, or is on it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.request import asker
from label_studio_sam2.request.whose import Whose, whose


@dataclass(order=True)
class Work:
    priority: Priority
    number: int
    run: Callable[[], Any] = field(compare=False)
    turn: Turn = field(compare=False)
    key: Hashable | None = field(compare=False)
    grad: bool = field(compare=False)
    wanted: Callable[[], bool] = field(compare=False, default_factory=asker.still_waiting)
    whose: Whose = field(compare=False, default_factory=whose)
    came: float = field(compare=False, default_factory=asker.came)
    arrived: float = field(compare=False, default_factory=monotonic)
    answer: Future[Any] = field(compare=False, default_factory=Future)

    @property
    def since(self) -> float:
        return self.arrived if self.turn.since is None else self.turn.since
