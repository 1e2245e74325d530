from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, running


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running() as server:
        yield server
