from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.asking import CONFIG
from tests.fakes.project_server import ProjectServer
from tests.fakes.redis_server import running
from tests.fakes.replicas import Pair, pair
from tests.fakes.servers import serving


@pytest.fixture(scope="session")
def together() -> Iterator[Pair]:
    """Two replicas that are connected to a project and have next to no time to answer, for tests that each use tasks of
    their own."""
    with (
        running() as redis,
        serving(ProjectServer(CONFIG)) as site,
        pair(redis.url, site, predict_budget=0.1, media_allowed_hosts=frozenset({"127.0.0.1"})) as both,
    ):
        yield both
