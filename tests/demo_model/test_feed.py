"""What training sees: pictures and labels squeezed to the same place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from demo_model.disc_evaluation import Disc
from demo_model.feed import squeeze

SIZE = 256


@pytest.mark.parametrize("side", [320, 401, 487])
def test_a_squeezed_picture_and_its_labels_lie_where_the_object_does(side: int) -> None:
    rng = np.random.default_rng(side)
    of_pictures, of_labels = [], []
    for width, height in 20 * [(side, 320), (320, side)]:
        disc = Disc(rng.uniform(100, width - 100), rng.uniform(100, height - 100), rng.uniform(30, 90))
        image = disc.draw(np.full(3, 255.0), np.zeros(3), (width, height))
        small, labels = squeeze(image, (image[..., 0] >= 128).astype(np.uint8), SIZE)
        place = np.array([disc.x / width, disc.y / height]) * SIZE
        of_pictures.append(centroid(small[..., 0]) - place)
        of_labels.append(centroid(labels) - place)
    assert np.abs(np.mean(of_pictures, axis=0)).max() < 0.03
    assert np.abs(np.mean(of_labels, axis=0)).max() < 0.03


def centroid(weights: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(2,): x and y from the upper left corner."""
    total = weights.sum(dtype=np.float64)
    x, y = (weights.sum(axis, dtype=np.float64) @ (np.arange(SIZE) + 0.5) for axis in (0, 1))
    return np.array([x, y]) / total
