from __future__ import annotations

import logging
from dataclasses import dataclass, field

import pytest
from label_studio_sam2.checks.background import BAD_SECONDS, GOOD_SECONDS, BackgroundChecks
from label_studio_sam2.checks.check import Check

from tests.eventually import eventually

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
        return BackgroundChecks(self, now=lambda: self.now)


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
