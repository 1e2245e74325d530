"""The environment, read once, here and nowhere else, into a frozen value.

Names are the ones the ecosystem already uses where it has one. docs/operations.md is tested against this class.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from label_studio_sam2.errors import SettingError

DEMO = "demo"

DEVICES = r"auto|cpu|mps|cuda(:\d{1,2})?"


SECRETS = ("label_studio_api_key", "basic_auth_pass", "redis_url")
"""Each may also be what a file holds: the one that the variable of its name and _FILE names."""


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets as container engines hand them over. Raises SettingError where a file can't be read."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        variable = f"{field_name.upper()}_FILE"
        path = os.environ.get(variable) if field_name in SECRETS else None
        try:
            return (Path(path).read_text().strip() if path else None), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(
                f"{variable} names {path}, which can't be read ({error}). Correct it."
            ) from error

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value}


class Settings(BaseSettings):
    """What an admin can set; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    model: str = Field(
        "sam2.1_hiera_small",
        description="`demo`, a name from the checkpoint table, or a path to any SAM 2 / 2.1 checkpoint",
    )
    detector: str = Field(
        "",
        description="what turns words into boxes: `owlv2_base`, `owlv2_large`, `demo`, or an OWLv2 model's folder; "
        "empty: `demo` where MODEL is `demo`, else `owlv2_base`",
    )
    device: str = Field("auto", description="cuda, cuda:1 (the second GPU), mps or cpu")
    compile: bool = Field(
        False,
        description="compile the model at the start, with a C compiler; takes minutes, is kept in MODEL_CACHE",
    )
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
    label_studio_public_url: str = Field(
        "", description="where people's browsers find it, where that is another address"
    )
    media_allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="private hosts that media may come from besides Label Studio's, separated by commas",
    )
    media_cache: str = Field(
        "",
        description="folder where fetched media are kept; empty: one of this user's in the temporary folder",
    )
    media_cache_mb: int = Field(
        8192, ge=0, description="bound of that folder; what is in use stays, whatever the bound"
    )
    max_image_pixels: int = Field(
        100_000_000,
        gt=0,
        lt=1 << 30,  # Label Studio's run lengths count a pixel's four bytes in 32 bits
        description="so many are decoded at once; larger pictures are read part by part, up to 268,435,456 pixels, "
        "where they are TIFFs in tiles or strips or baseline JPEGs, and refused otherwise",
    )
    max_media_mb: int = Field(2048, gt=0, description="larger files are refused")
    predict_budget: float = Field(
        80, gt=0, description="seconds that a video answer may take before the rest goes on in the background"
    )
    basic_auth_user: str = Field(
        "",
        description="if set, every route but /health, /ready and annotation events at /webhook wants it",
    )
    basic_auth_pass: SecretStr = Field(SecretStr(""), description="the password that goes with it")
    allowed_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="names that this service answers to, separated by commas; empty: to any",
    )
    hf_hub_offline: bool = Field(False, description="nothing is downloaded; what is missing is named")
    http_proxy: str = Field("", repr=False, description="proxy for http:// addresses")
    https_proxy: str = Field("", repr=False, description="proxy for https:// addresses")
    no_proxy: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="hosts, domains and networks that are reached without them, separated by commas; "
        "this machine itself always is",
    )
    ssl_cert_file: str = Field("", description="certificates of a private authority that are trusted too")
    requests_ca_bundle: str = Field("", description="the same, by the name that other programs know")
    curl_ca_bundle: str = Field("", description="the same")
    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104  a container's port is published by its engine
    port: int = Field(9090, ge=0, le=65535, description="port to listen on")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="debug, info, warning or error"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment, then the files that it names."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @property
    def shown_label_studio(self) -> str:
        """Label Studio's address for people."""
        return self.label_studio_public_url or self.label_studio_url

    @property
    def detector_name(self) -> str:
        """DETECTOR, or what it is where nobody set it."""
        return self.detector or (DEMO if self.model == DEMO else "owlv2_base")

    @field_validator("device")
    @classmethod
    def _known(cls, value: str) -> str:
        if not re.fullmatch(DEVICES, value):
            raise ValueError("it is auto, cpu, mps, cuda, or cuda:1 for the second GPU")
        return value

    @field_validator("media_allowed_hosts", "allowed_hosts", "no_proxy", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @field_validator("label_studio_url", "label_studio_public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


def prepare_process() -> None:
    """To be called before torch is imported: OpenMP reads its settings once, when it is loaded.

    Threads that wait must not spin: on a shared host that made torch 2 to 18 times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def hide_gpus() -> None:
    """To be called before CUDA is: libraries that take a GPU wherever there is one see none then. Where this process
    uses one already, nothing changes."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


def keep_compiled_code_in(folder: Path) -> None:
    """To be called before anything is compiled: torch and Triton keep it there for the next start."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder.absolute()))
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder.absolute() / "triton"))
