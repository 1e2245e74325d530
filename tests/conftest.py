from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from label_studio_sam2.settings import prepare_process

from tests.redis_server import RedisServer, running

prepare_process()
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with running() as server:
        yield server
