"""The environment, read once, here and nowhere else, into a frozen value.

Names are the ones the ecosystem already uses where it has one. The README's table is tested against this class.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEMO = "demo"


class Settings(BaseSettings):
    """What an admin can set; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    model: str = Field(
        "sam2.1_hiera_small",
        description="`demo`, a name from the checkpoint table, or a path to any SAM 2 / 2.1 checkpoint",
    )
    device: Literal["auto", "cuda", "mps", "cpu"] = Field("auto", description="cuda, mps or cpu")
    model_cache: Path = Field(Path("model_cache"), description="where checkpoints live")
    redis_url: str = Field(
        "", description="`redis://`, `rediss://` or `unix://`; empty: embeddings in memory only"
    )
    embedding_ttl: int = Field(86400, gt=0, description="seconds that an embedding stays in Redis")
    memory_cache_mb: int = Field(
        2048,
        ge=0,
        description="bound of the embedding cache inside the process, for pictures first, then frames",
    )
    label_studio_url: str = Field("", description="where Label Studio answers, as seen from this service")
    label_studio_api_key: SecretStr = Field(
        SecretStr(""), description="legacy token or personal access token"
    )
    media_allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="private hosts that media may come from besides Label Studio's, separated by commas",
    )
    max_image_pixels: int = Field(100_000_000, gt=0, description="larger pictures are refused")
    max_media_mb: int = Field(2048, gt=0, description="larger files are refused")
    predict_budget: float = Field(
        80, gt=0, description="seconds that a video answer may take before the rest goes on in the background"
    )
    basic_auth_user: str = Field(
        "", description="if set, every route but /health, /ready and /webhook wants it"
    )
    basic_auth_pass: SecretStr = Field(SecretStr(""), description="the password that goes with it")
    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104  a container's port is published by its engine
    port: int = Field(9090, ge=0, le=65535, description="port to listen on")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )

    @field_validator("media_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @field_validator("label_studio_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


def prepare_process() -> None:
    """To be called before torch is imported: OpenMP reads its settings once, when it is loaded.

    Threads that wait must not spin: on a shared host that made torch 2 to 18 times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
