from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.regions import doubts
from label_studio_sam2.labelstudio.regions.doubts import Signals
from label_studio_sam2.types import Mask

SURE = Signals(score=0.99, iou=0.95, area=400, x=50, y=50, diagonal=28)


def track(**odd: float) -> dict[int, Signals]:
    """A still object, sure but for frame 12."""
    return {frame: SURE._replace(**odd) if frame == 12 else SURE for frame in range(20)}


def test_nothing_is_listed_of_a_track_that_is_sure() -> None:
    assert doubts.doubtful(track()) == []


@pytest.mark.parametrize(
    "odd",
    [{"score": 0.6}, {"score": 0.3, "area": 0}, {"iou": 0.6}, {"area": 60}, {"area": 4000}, {"x": 200}],
    ids=["score dips", "hardly absent", "predicted IoU falls", "area shrinks", "area grows", "centre leaps"],
)
def test_a_frame_on_which_a_signal_is_odd_is_listed(odd: dict[str, float]) -> None:
    assert 12 in doubts.doubtful(track(**odd))
    assert doubts.trust(track(**odd)) < doubts.trust(track())  # type: ignore[operator]


def test_an_object_that_is_clearly_out_of_sight_is_not_looked_for() -> None:
    assert doubts.doubtful({n: Signals(0.01, 0.2) for n in range(5)}) == []


@given(st.sets(st.integers(1, 300)))
def test_what_is_listed_in_a_regions_meta_is_read_back(numbers: set[int]) -> None:
    found = doubts.spans(numbers)
    assert doubts.listed({"look_at": found}) == numbers
    assert sum(last - first + 1 for first, last in found) == len(numbers)


@pytest.mark.parametrize(
    "meta", [None, 3, {}, {"look_at": 5}, {"look_at": [[1], ["a", 2], [5, 1], [True, 9]]}]
)
def test_a_meta_of_somebody_elses_lists_nothing(meta: object) -> None:
    assert doubts.listed(meta) == set()


def test_the_sentence_is_short_however_long_the_list() -> None:
    assert doubts.sentence([[112, 118], [240, 240]]) == "look at 112-118, 240"
    assert doubts.sentence([[n, n] for n in range(1, 40, 2)]).endswith(", 15 and 12 more")
    assert doubts.sentence([]) == ""


def test_a_mask_is_doubted_for_its_edge_or_another_reading_and_trusted_less() -> None:
    bitmap = np.ones((2, 2), np.bool_)
    sure, edge, other = Mask(bitmap, 0.9, 0.95), Mask(bitmap, 0.9, 0.6), Mask(bitmap, 0.9, 0.95, lead=0.02)
    assert doubts.of_mask(sure) == ""
    assert "stability 0.60" in doubts.of_mask(edge)
    assert "0.02 lower" in doubts.of_mask(other)
    assert sure.trust > max(edge.trust, other.trust)
