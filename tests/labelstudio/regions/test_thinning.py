from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.regions.thinning import TOLERANCE, needed
from numpy.typing import NDArray

steps = st.lists(st.tuples(*[st.integers(-4, 4) | st.just(0)] * 4), min_size=1, max_size=80)


def track(rises: list[tuple[int, ...]]) -> NDArray[np.float64]:
    return np.cumsum(np.array(rises, np.float64), axis=0)


def interpolated(edges: NDArray[np.float64], kept: list[int]) -> NDArray[np.float64]:
    frames = np.arange(len(edges))
    return np.stack([np.interp(frames, kept, edges[kept, edge]) for edge in range(4)], axis=1)


@given(steps, st.sets(st.integers(0, 79), max_size=4))
def test_interpolation_stays_within_a_pixel(rises: list[tuple[int, ...]], wanted: set[int]) -> None:
    edges = track(rises)
    forced = {row for row in wanted if row < len(edges)}

    kept = needed(edges, forced)

    assert kept == sorted(set(kept))
    assert {0, len(edges) - 1} | forced <= set(kept)
    assert np.abs(interpolated(edges, kept) - edges).max() <= TOLERANCE + 1e-9


@given(steps)
def test_no_kept_row_could_be_left_out(rises: list[tuple[int, ...]]) -> None:
    edges = track(rises)

    kept = needed(edges)

    for place in range(1, len(kept) - 1):
        without = [*kept[:place], *kept[place + 1 :]]
        assert np.abs(interpolated(edges, without) - edges).max() > TOLERANCE - 1e-9


def test_an_even_motion_needs_its_ends_only() -> None:
    assert needed(track([(2, 1, 2, 1)] * 500)) == [0, 499]


def test_no_rows_need_none() -> None:
    assert needed(np.empty((0, 4))) == []
