"""What annotators have accepted: masks that teach nothing, and who answers a project's clicks then."""

from __future__ import annotations

import httpx
import numpy as np
from label_studio_sam2.types import Bitmap, Size

from tests.fakes.asking import body, click, data_url
from tests.fakes.fit_server import FitServer, noise

ENOUGH = 24


def blot(seed: int) -> Bitmap:
    rng = np.random.default_rng(seed)
    mask = np.zeros((64, 96), np.bool_)
    x, y = int(rng.integers(0, 70)), int(rng.integers(0, 40))
    mask[y : y + int(rng.integers(8, 24)), x : x + int(rng.integers(8, 26))] = True
    return mask


def random_masks(site: FitServer, project: int) -> None:
    for seed in range(ENOUGH):
        site.annotate(project, noise(seed), [blot(seed)])


def answered_by(client: httpx.Client, project: int) -> str:
    asked = body(data_url(noise(1)), [click(9, 9, Size(64, 96))], project=f"{project}.1")
    return str(client.post("/predict", json=asked).json()["results"][0]["model_version"])
