"""Who is next on the device: of one priority, projects take turns, and in a project its tasks, so that nobody waits
behind all that another one asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import takewhile

from cachetools import LRUCache

from label_studio_sam2.engine.turn import Priority
from label_studio_sam2.engine.work import Work

REMEMBERED = 1024
"""Projects and tasks whose last turn is known."""


class Fairness:
    """Remembers when each had its last turn. What waits comes in the order of its priority and arrival."""

    def __init__(self) -> None:
        self._served: LRUCache[Hashable, int] = LRUCache(REMEMBERED)
        self._turns = 0

    def first(self, waiting: Sequence[Work]) -> Work:
        """Whose turn it is: of the most urgent, who had one longest ago."""

        def last_turn(item: Work) -> tuple[int, int, int]:
            project, task = self._served.get(item.whose[:1], 0), self._served.get(item.whose, 0)
            return project, task, item.number

        urgent = takewhile(lambda item: item.priority == waiting[0].priority, waiting)
        item = min(urgent, key=last_turn)
        self._turns += 1
        self._served[item.whose[:1]] = self._served[item.whose] = self._turns
        return item

    @staticmethod
    def before(item: Work, waiting: Sequence[Work]) -> Mapping[Priority, int]:
        """How much of each priority goes before it: of another project at most one more than waits of its own."""
        urgent = Counter(one.priority for one in waiting if one.priority < item.priority)
        projects = Counter(one.whose.project for one in waiting if one.priority == item.priority)
        own = projects.pop(item.whose.project, 0)
        return urgent | {item.priority: own + sum(min(count, own + 1) for count in projects.values())}
