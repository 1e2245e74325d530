"""CONTRIBUTING's two walks are what a real click and a real track go through."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import label_studio_sam2
import pytest
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes import asking_video as video
from tests.fakes.asking import body, click, data_url, regions_of
from tests.fakes.settings import settings

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
PACKAGE = Path(label_studio_sam2.__file__).parent
SIZE = Size(240, 320)


@dataclass
class Trace:
    """The package's functions in the order in which they are entered, while it is on."""

    entered: list[str] = field(default_factory=list)
    on: bool = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        file = Path(frame.f_code.co_filename)
        if self.on and event == "call" and PACKAGE in file.parents:
            module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
            self.entered.append(f"{module}.{frame.f_code.co_qualname.rpartition('<locals>.')[2]}")

    @property
    def modules(self) -> set[str]:
        named = {".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")}
        parts = (one.split(".") for one in self.entered)
        return {next(m for n in range(len(p), 0, -1) if (m := ".".join(p[:n])) in named) for p in parts}


def listed(title: str) -> list[str]:
    """The functions of a numbered list, in its order."""
    return re.findall(r"^\d+\. `([\w.]+)`", section(title), re.MULTILINE)


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n#")[0]


@contextmanager
def traced() -> Iterator[tuple[Trace, httpx.Client]]:
    """Threads that begin inside are traced: all of the service's."""
    trace = Trace()
    threading.setprofile(trace)
    try:
        with (
            running(settings()) as address,
            httpx.Client(base_url=address, timeout=180, trust_env=False) as client,
        ):
            yield trace, client
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]


def assert_in_order(expected: list[str], entered: list[str]) -> None:
    place = 0
    for name in expected:
        assert name in entered[place:], f"{name} isn't entered after what stands before it"
        place = entered.index(name, place)


def test_a_click_on_an_encoded_picture_goes_the_sixteen_lines_and_through_nothing_that_is_not_named() -> None:
    picture, lines = (
        data_url(draw_scene(3, width=SIZE.width, height=SIZE.height).image),
        listed("A click in sixteen lines"),
    )
    with traced() as (trace, client):
        assert regions_of(client.post("/predict", json=body(picture, [click(100, 100, SIZE)])))
        trace.on = True
        assert regions_of(client.post("/predict", json=body(picture, [click(110, 120, SIZE)])))
        trace.on = False
    assert len(lines) == 16
    assert_in_order(lines, trace.entered)
    named = set(re.findall(r"`([\w.]+)`", section("A click in sixteen lines")))
    assert {
        module for module in trace.modules if not any(f"{one}.".startswith(f"{module}.") for one in named)
    } == set()


@pytest.mark.slow
def test_a_track_goes_the_eighteen_lines() -> None:
    lines = listed("A track in eighteen lines")
    with traced() as (trace, client):
        trace.on = True
        assert video.ask(client, video.region("a", video.keyframe(1, 0)))
        trace.on = False
    assert len(lines) == 18
    assert_in_order(lines, trace.entered)
