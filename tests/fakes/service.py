"""A service with the demo model, for all tests that leave nothing behind in it; a pytest plugin."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from label_studio_sam2.server.in_process import running

from tests.fakes.settings import settings


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with running(settings(media_allowed_hosts=frozenset({"127.0.0.1"}))) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        yield client
