from __future__ import annotations

from threading import Event
from typing import Any, cast

import pytest
from label_studio_sam2.engine.opening import Opening
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.errors import NotReady

from tests.fakes.eventually import eventually
from tests.fakes.networks import demo_model


class Engine:
    """As much of a segmenter as opening one needs."""

    model = demo_model()

    def __init__(self) -> None:
        self.closed = Event()

    def close(self) -> None:
        self.closed.set()


def opening(open_one: Any, **options: float) -> Opening:
    return Opening(lambda: cast(Segmenter, open_one()), **options)


def test_an_engine_that_is_ready_only_after_closing_is_closed_too() -> None:
    engine, loading, go = Engine(), Event(), Event()

    def load() -> Engine:
        loading.set()
        assert go.wait(20)
        return engine

    being_opened = opening(load)
    assert loading.wait(20)
    being_opened.close()
    go.set()
    assert engine.closed.wait(20)
    with pytest.raises(NotReady):
        being_opened.get()


@pytest.mark.parametrize("problem", [RuntimeError("CUDA out of memory"), NotReady("No such device.")])
def test_loading_is_tried_again_whatever_went_wrong(problem: Exception) -> None:
    engine, tries = Engine(), iter([problem, problem])

    def load() -> Engine:
        for error in tries:
            raise error
        return engine

    being_opened = opening(load, retry_seconds=0.01)

    def ready() -> bool:
        try:
            return being_opened.get() is cast(Segmenter, engine)
        except NotReady:
            return False

    eventually(ready)
    being_opened.close()
    assert engine.closed.is_set()


def test_the_reason_why_there_is_no_engine_yet_is_told_meanwhile() -> None:
    def load() -> Engine:
        raise RuntimeError("no kernel image")

    being_opened = opening(load, retry_seconds=60)

    def reason() -> str:
        with pytest.raises(NotReady) as error:
            being_opened.get()
        return error.value.detail

    eventually(lambda: "tried again every 60 seconds" in reason())
    being_opened.close()
