"""The published detectors: which there are, and how their files reach the disk. Weights are safetensors only."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import httpx

from label_studio_sam2.engine.checkpoints import TIMEOUT, Checkpoint, Progress, download, verify
from label_studio_sam2.errors import CheckpointError
from label_studio_sam2.outgoing.ways import DIRECT, Outgoing
from label_studio_sam2.settings import DEMO

HUB = "https://huggingface.co"

WEIGHTS, CONFIG = "model.safetensors", "config.json"

SETTING_UP = (
    CONFIG,
    "preprocessor_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)
"""The small files beside the weights; all of one revision, which names its content."""


class Published(NamedTuple):
    """A detector as it was published: a revision of a repository, and its weights bit for bit."""

    name: str
    repository: str
    revision: str
    size: int
    sha256: str
    hub: str = HUB

    @property
    def base(self) -> str:
        return f"{self.hub}/{self.repository}/resolve/{self.revision}/"

    @property
    def weights(self) -> Checkpoint:
        return Checkpoint(self.name, self.size, self.sha256, self.base, WEIGHTS, "DETECTOR")

    def folder(self, cache: Path) -> Path:
        return cache / self.name


DETECTORS = {
    row.name: row
    for row in (
        Published(
            "owlv2_base",
            "google/owlv2-base-patch16-ensemble",
            "cfd3195ba4ea9592eec887ded089f4c08eff231d",
            619918824,
            "e1e130b9e404cf91a75ad45644c1da9d7fa5284085eecc864266a6923efb99e7",
        ),
        Published(
            "owlv2_large",
            "google/owlv2-large-patch14-ensemble",
            "95e26936e865f87db1742128404b3c035d47d89d",
            1750520144,
            "d1c2261503c55aaf400667a843a54a5167e3c696334674c4093d6d10f7f40075",
        ),
    )
}


def locate(name: str, cache: Path, progress: Progress | None = None, outgoing: Outgoing = DIRECT) -> Path:
    """The folder of the detector that DETECTOR names: `demo`, a row of the table (downloaded into `cache` where it is
    missing), or a folder. Raises CheckpointError with one sentence on what is wrong and one on what to do."""
    if name in DETECTORS:
        return fetch(DETECTORS[name], cache, progress, outgoing)
    folder = Path(str(resources.files("label_studio_sam2.demo") / "detector")) if name == DEMO else Path(name)
    if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
        return folder
    raise CheckpointError(
        f"DETECTOR={name} is neither a known detector nor a folder with {CONFIG} and {WEIGHTS}. Use {DEMO}, "
        f"{', '.join(DETECTORS)}, or the folder of an OWLv2 model."
    )


def fetch(
    published: Published, cache: Path, progress: Progress | None = None, outgoing: Outgoing = DIRECT
) -> Path:
    """Its verified folder in `cache`; what is missing is downloaded. Raises CheckpointError."""
    folder = published.folder(cache)
    weights = download(published.weights, folder, progress, outgoing)
    verify(weights, published.weights)
    for file in SETTING_UP:
        if not (folder / file).exists():
            _small(published, file, folder / file, outgoing)
    return folder


def _small(published: Published, file: str, target: Path, outgoing: Outgoing) -> None:
    try:
        with outgoing.client(timeout=TIMEOUT, follow_redirects=True) as http:
            answer = http.get(published.base + file).raise_for_status()
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(answer.content)
        part.replace(target)
    except (httpx.HTTPError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(
            f"{file} of {published.name} can't be had from {published.base} ({reason}). Try again, or put the files of "
            f"that revision into {target.parent} yourself."
        ) from error
