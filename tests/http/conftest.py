from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from label_studio_sam2.commands.running import running
from label_studio_sam2.settings import DEMO, Settings

Running = Callable[..., AbstractContextManager[str]]


def settings(**given: Any) -> Settings:
    """The demo model on the CPU, without Redis, whatever the environment says; `given` changes it."""
    return Settings().model_copy(
        update={"model": DEMO, "device": "cpu", "redis_url": "", "basic_auth_user": ""} | given
    )


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """A service with the demo model, shared by all tests that leave nothing behind in it."""
    with running(settings(media_allowed_hosts=frozenset({"127.0.0.1"}))) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        yield client
