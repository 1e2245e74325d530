from __future__ import annotations

from threading import Event
from time import monotonic

from label_studio_sam2.background.events import MOST_KEYS, Events

from tests.fakes.eventually import eventually


def test_a_storm_of_one_key_is_looked_at_now_and_once_more_when_it_is_over() -> None:
    looks: list[float] = []
    events = Events(seconds=0.2)
    begun = monotonic()
    while monotonic() - begun < 0.1:
        events.note("project", lambda: looks.append(monotonic()))
    eventually(lambda: len(looks) == 2)
    assert looks[1] - looks[0] >= 0.2
    Event().wait(0.3)
    assert len(looks) == 2
    events.note("project", lambda: looks.append(monotonic()))
    eventually(lambda: len(looks) == 3)
    events.close()


def test_keys_do_not_wait_for_each_others_pause() -> None:
    looks: list[object] = []
    events = Events(seconds=60)
    for key in ("a", "b", "a", "c"):
        events.note(key, lambda: looks.append(None))
    eventually(lambda: len(looks) == 3)
    events.close()


def test_what_waits_is_bounded_and_what_fails_loses_nobody_else() -> None:
    go, looks = Event(), list[int]()
    events = Events(seconds=0)

    def fail() -> None:
        go.wait(20)
        raise ZeroDivisionError

    events.note("held", fail)
    eventually(lambda: not events.waiting)
    for number in range(MOST_KEYS + 10):
        events.note(number, lambda: looks.append(1))
    assert events.waiting == MOST_KEYS
    go.set()
    eventually(lambda: len(looks) == MOST_KEYS)
    events.close()


def test_once_closed_nothing_is_looked_at_any_more() -> None:
    looks: list[int] = []
    events = Events(seconds=60)
    events.note("a", lambda: looks.append(1))
    eventually(lambda: len(looks) == 1)
    events.note("a", lambda: looks.append(2))
    events.close()
    events.note("b", lambda: looks.append(3))
    Event().wait(0.1)
    assert looks == [1]
