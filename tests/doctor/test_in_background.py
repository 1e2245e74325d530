from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

import pytest
from label_studio_sam2.doctor.check import Check
from label_studio_sam2.doctor.in_background import BAD_SECONDS, GOOD_SECONDS, BackgroundChecks

from tests.fakes.eventually import eventually

GOOD = Check("redis", "ok", "Redis answers.")
BAD = Check("redis", "problem", "It does not.", "Start it.")


@dataclass
class Looks:
    """What each look finds, one after the other, at a time that stands still until a test moves it."""

    finds: list[Check | Exception]
    now: float = 0.0
    made: list[float] = field(default_factory=list)

    def __call__(self) -> list[Check]:
        self.made.append(self.now)
        found = self.finds.pop(0)
        if isinstance(found, Exception):
            raise found
        return [found]

    def checks(self) -> BackgroundChecks:
        """Whose looks are all the same, thorough or not."""
        return BackgroundChecks(lambda _before: self(), self, now=lambda: self.now)


def ended(checks: BackgroundChecks) -> str:
    """The state of the only check, once no run is under way."""
    eventually(lambda: not checks.latest()["running"])
    (found,) = checks.latest()["found"]
    return str(found["state"])


@pytest.mark.parametrize(("first", "stands"), [(GOOD, GOOD_SECONDS), (BAD, BAD_SECONDS)])
def test_a_finding_stands_for_its_time_and_is_then_looked_at_again(first: Check, stands: float) -> None:
    looks = Looks([first, GOOD])
    checks = looks.checks()
    assert ended(checks) == first.state
    looks.now = stands - 1
    assert ended(checks) == first.state
    looks.now = stands
    assert ended(checks) == "ok"
    assert looks.made == [0, stands]


def test_a_look_that_fails_is_a_problem_and_the_next_one_is_made(caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks([RuntimeError("broken"), GOOD])
    checks = looks.checks()
    with caplog.at_level(logging.ERROR):
        assert ended(checks) == "problem"
    assert "broken" in caplog.text
    checks.begin()
    assert ended(checks) == "ok"


def test_only_who_asks_for_it_gets_a_thorough_look_and_what_it_found_is_known_to_the_next_ones() -> None:
    now, made = 0.0, list[str]()

    def look(before: Sequence[Check]) -> list[Check]:
        made.append("reading after " + ", ".join(check.state for check in before))
        return [GOOD]

    def thorough() -> list[Check]:
        made.append("thorough")
        return [BAD]

    checks = BackgroundChecks(look, thorough, now=lambda: now)
    assert ended(checks) == "ok"
    now = GOOD_SECONDS
    assert ended(checks) == "ok"
    checks.begin()
    assert ended(checks) == "problem"
    now += BAD_SECONDS
    assert ended(checks) == "ok"
    assert made == ["reading after ", "reading after ", "thorough", "reading after problem"]


def test_a_thorough_look_that_is_asked_for_during_another_comes_once_after_it() -> None:
    going, go_on, made = Event(), Event(), list[str]()

    def look(_before: Sequence[Check]) -> list[Check]:
        going.set()
        assert go_on.wait(10)
        made.append("reading")
        return [GOOD]

    def thorough() -> list[Check]:
        made.append("thorough")
        return [BAD]

    checks = BackgroundChecks(look, thorough)
    checks.latest()
    assert going.wait(10)
    for _ in range(3):
        checks.begin()
    go_on.set()
    assert ended(checks) == "problem"
    assert made == ["reading", "thorough"]
