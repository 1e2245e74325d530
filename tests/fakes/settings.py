"""Settings to test with."""

from __future__ import annotations

from typing import Any

from label_studio_sam2.settings import DEMO, Settings


def settings(**given: Any) -> Settings:
    """The demo model on the CPU, without Redis, whatever the environment says; `given` changes it."""
    return Settings().model_copy(
        update={"model": DEMO, "device": "cpu", "redis_url": "", "basic_auth_user": ""} | given
    )
