from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from label_studio_sam2.background.deliveries import Deliveries, Waiting
from label_studio_sam2.errors import LabelStudioError


def nothing_there() -> bool:
    return False


def test_while_one_task_is_stored_slowly_others_are_delivered_and_it_is_not_delivered_twice() -> None:
    deliveries, talking, go = Deliveries(), Event(), Event()

    def store_slowly() -> None:
        talking.set()
        assert go.wait(20)

    with ThreadPoolExecutor() as threads:
        slow = threads.submit(deliveries.store, "slow", nothing_there, store_slowly)
        assert talking.wait(20)
        assert deliveries.give("other", lambda: True, nothing_there)
        assert deliveries.store("third", nothing_there, lambda: None)
        assert not deliveries.store("slow", nothing_there, lambda: None)
        assert not deliveries.give("slow", lambda: True, nothing_there)
        assert not slow.done()
        go.set()
        assert slow.result()


def test_what_was_given_to_a_request_is_not_stored_beside_it() -> None:
    deliveries = Deliveries()
    assert deliveries.give("task", lambda: True, nothing_there)
    assert not deliveries.store("task", nothing_there, lambda: pytest.fail("stored twice"))


@pytest.mark.parametrize("still_there", [True, False])
def test_what_was_stored_a_moment_ago_is_given_only_where_it_is_gone_again(still_there: bool) -> None:
    deliveries = Deliveries()
    assert deliveries.store("task", nothing_there, lambda: None)
    assert deliveries.give("task", lambda: True, lambda: still_there) != still_there


def test_a_failed_storing_leaves_the_task_to_the_next() -> None:
    deliveries = Deliveries()

    def fails() -> None:
        raise LabelStudioError("It is restarting.")

    with pytest.raises(LabelStudioError):
        deliveries.store("task", nothing_there, fails)
    assert deliveries.store("task", nothing_there, lambda: None)


def test_a_request_that_has_stopped_waiting_takes_nothing_more() -> None:
    waiting = Waiting()
    assert waiting.take(0, b"masks")
    assert waiting.close() == {0: b"masks"}
    assert not waiting.take(1, b"masks")
    assert waiting.closed


def test_what_is_kept_is_taken_once() -> None:
    deliveries = Deliveries()
    deliveries.keep("asked", b"masks")
    assert (deliveries.take("asked"), deliveries.take("asked")) == (b"masks", None)
