"""Is what the service needs on this machine: weights, device, Redis, disk."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

from label_studio_sam2.doctor.check import Check, checked
from label_studio_sam2.engine import device as devices
from label_studio_sam2.engine.cache.redis_link import RedisLink
from label_studio_sam2.engine.checkpoints import CHECKPOINTS, verify
from label_studio_sam2.engine.model import unknown
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.engine.words.published import DETECTORS, WEIGHTS, locate
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import DEMO, Settings

NAMES = frozenset({"checkpoint", "detector", "device", "redis", "disk", "tuned version"})
"""Of the checks that are made here."""

LEAST_FREE = 2 << 30
"""Bytes: the largest checkpoint and a few media."""


def checkpoint(settings: Settings) -> Check:
    """Whether the weights that MODEL names are here and, bit for bit, the published ones."""

    def verified() -> str:
        if settings.model == DEMO:
            return "The demo model is in the package. It is for trying out, not for photos."
        published = CHECKPOINTS.get(settings.model)
        if published is None and Path(settings.model).is_file():
            return f"MODEL is the file {settings.model}."
        if published is None:
            raise unknown(settings.model)
        path = settings.model_cache / published.file
        if not path.exists():
            raise CheckpointError(
                f"{published.name} is not in {settings.model_cache}, and the service can't answer before it is "
                f"downloaded. Run `label-studio-sam2 models download {published.name}`."
            )
        verify(path, published)
        return f"{path} is the published {published.name}."

    return checked("checkpoint", verified)


def detector(settings: Settings) -> Check:
    """Whether words can be asked for: a warning where DETECTOR names what isn't there, for clicks do without it."""
    name = settings.detector_name
    published = DETECTORS.get(name)
    if published is not None and not (published.folder(settings.model_cache) / WEIGHTS).exists():
        return Check(
            "detector", "ok", f"The detector {name} is downloaded when somebody asks for words first."
        )
    found = checked("detector", lambda: f"DETECTOR={name} is {locate(name, settings.model_cache)}.")
    return found if found.state == "ok" else replace(found, state="warning" if settings.detector else "ok")


def device(settings: Settings) -> Check:
    """Whether torch sees the device that DEVICE names."""
    return checked("device", lambda: f"DEVICE={settings.device} is {devices.choose(settings.device).type}.")


def redis(settings: Settings) -> Check:
    """Whether Redis answers, where one is set."""
    if not settings.redis_url:
        return Check("redis", "ok", "REDIS_URL isn't set: embeddings are kept in memory only.")
    link = RedisLink(settings.redis_url, Outgoing.of(settings).authorities, level=logging.DEBUG)
    try:
        link.attempt("answer", lambda client: client.ping())
        if link.trouble is None:
            return Check("redis", "ok", "Redis answers.")
        remedy = "Start Redis, or correct REDIS_URL; the service works without it, each replica for itself."
        return Check("redis", "problem", link.trouble, remedy)
    finally:
        link.close()


def tuned(settings: Settings) -> list[Check]:
    """Of projects whose tuned version can't be read, as after an upgrade."""
    refused = Versions(settings.model_cache / "versions").refused()
    return [
        Check(
            "tuned version",
            "problem",
            sentence,
            f"Until then the base model answers. `label-studio-sam2 fit --project {project}` tunes anew.",
            project,
        )
        for project, sentence in refused.items()
    ]


def disk(folder: Path) -> Check:
    """Whether there is room for a checkpoint and for media under `folder`."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    sentence = f"{free / (1 << 30):.1f} GiB are free for {folder}."
    if free < LEAST_FREE:
        return Check("disk", "warning", sentence, "Free some, or point MODEL_CACHE to a larger disk.")
    return Check("disk", "ok", sentence)
