from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from label_studio_sam2.settings import prepare_process

from tests.fakes.redis_server import RedisServer, running

pytest_plugins = ["tests.fakes.service"]

prepare_process()
# The same examples every time, so that a red run is the change's own; --hypothesis-profile=search looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=1000, help="how many mutated requests test_fuzz.py sends")
    parser.addoption(
        "--device",
        default="",
        help="where tests/gpu run: cuda (where there is one), cuda:1, mps, or cpu to rehearse",
    )


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running() as server:
        yield server
