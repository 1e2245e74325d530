from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.redis_server import RedisServer, running

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running() as server:
        yield server
