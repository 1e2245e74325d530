"""Is what the service needs on this machine: weights, device, Redis, disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from label_studio_sam2.checks.check import Check, checked
from label_studio_sam2.engine import device as devices
from label_studio_sam2.engine.checkpoints import CHECKPOINTS, verify
from label_studio_sam2.engine.redis_link import RedisLink
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.settings import DEMO, Settings

LEAST_FREE = 2 << 30
"""Bytes: the largest checkpoint and a few media."""


def checkpoint(settings: Settings) -> Check:
    """Whether the weights that MODEL names are here and, bit for bit, the published ones."""

    def verified() -> str:
        published = CHECKPOINTS.get(settings.model)
        path = settings.model_cache / published.file if published else Path(settings.model)
        if settings.model == DEMO:
            return "The demo model is in the package. It is for trying out, not for photos."
        if published is None and not path.is_file():
            known = ", ".join((DEMO, *CHECKPOINTS))
            raise CheckpointError(
                f"MODEL={settings.model} is neither a file nor a known name. Use one of {known}."
            )
        if published is None:
            return f"MODEL is the file {path}."
        if not path.exists():
            raise CheckpointError(
                f"{published.name} is not in {settings.model_cache}, and the service can't answer before it is "
                f"downloaded. Run `label-studio-sam2 models download {published.name}`."
            )
        verify(path, published)
        return f"{path} is the published {published.name}."

    return checked("checkpoint", verified)


def device(settings: Settings) -> Check:
    """Whether torch sees the device that DEVICE names."""
    return checked("device", lambda: f"DEVICE={settings.device} is {devices.choose(settings.device).type}.")


def redis(settings: Settings) -> Check:
    """Whether Redis answers, where one is set."""
    if not settings.redis_url:
        return Check("redis", "ok", "REDIS_URL isn't set: embeddings are kept in memory only.")
    link = RedisLink(settings.redis_url)
    try:
        link.attempt("answer", lambda client: client.ping())
        if link.trouble is None:
            return Check("redis", "ok", "Redis answers.")
        remedy = "Start Redis, or correct REDIS_URL; the service works without it, each replica for itself."
        return Check("redis", "problem", link.trouble, remedy)
    finally:
        link.close()


def disk(folder: Path) -> Check:
    """Whether there is room for a checkpoint and for media under `folder`."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    sentence = f"{free / (1 << 30):.1f} GiB are free for {folder}."
    if free < LEAST_FREE:
        return Check("disk", "warning", sentence, "Free some, or point MODEL_CACHE to a larger disk.")
    return Check("disk", "ok", sentence)
