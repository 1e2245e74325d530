from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from label_studio_sam2.engine.words.opening import OnDemand, Tell
from label_studio_sam2.errors import CheckpointError, NotReady


def test_nothing_is_opened_before_somebody_asks_and_all_who_ask_at_once_get_the_same() -> None:
    opened: list[object] = []

    def open_one(_tell: Tell) -> object:
        opened.append(object())
        return opened[-1]

    on_demand = OnDemand(open_one, "The detector x")
    assert (on_demand.opened, on_demand.state) == (None, "not asked for yet")
    with ThreadPoolExecutor(4) as pool:
        got = [asked.result() for asked in [pool.submit(on_demand.get) for _ in range(4)]]
    assert got == opened * 4
    assert on_demand.opened is opened[0]


def test_who_asks_while_it_loads_for_long_is_told_to_come_back() -> None:
    go_on, told = Event(), Event()

    def open_one(tell: Tell) -> bool:
        tell("1 of 2 MB are here")
        told.set()
        return go_on.wait(30)

    on_demand = OnDemand(open_one, "The detector x", patience=0)
    with pytest.raises(NotReady, match="The detector x is still loading"):
        on_demand.get()
    assert told.wait(30)
    with pytest.raises(NotReady, match=r"still loading \(1 of 2 MB are here\)\.") as refused:
        on_demand.get()
    assert refused.value.retry_after
    assert on_demand.state == "loading: 1 of 2 MB are here"
    assert on_demand.get(meanwhile=go_on.set)
    assert on_demand.state == "open"


def test_what_could_not_be_opened_is_tried_again_by_the_next_who_asks() -> None:
    tries: list[bool] = []

    def open_one(_tell: Tell) -> str:
        tries.append(True)
        if len(tries) == 1:
            raise CheckpointError("It isn't there.")
        return "open"

    on_demand = OnDemand(open_one, "The detector x")
    with pytest.raises(CheckpointError, match=r"It isn't there\."):
        on_demand.get()
    assert (on_demand.opened, on_demand.state) == (None, "could not be opened")
    assert on_demand.get() == on_demand.state == "open"
