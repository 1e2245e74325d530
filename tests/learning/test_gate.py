from __future__ import annotations

import numpy as np
import pytest
from label_studio_sam2.learning.gate import Change, judge

KINDS = ["one click", "box"]


def judged(differences: list[list[float]], lost: float = 0.0) -> tuple[bool, str]:
    before = np.full((len(differences), 2), 0.5)
    groups = [str(number) for number in range(len(differences))]
    verdict = judge(KINDS, groups, before, before + np.array(differences), lost)
    return verdict.accepted, verdict.reason


def test_a_clear_gain_is_used() -> None:
    assert judged([[0.2, 0.1], [0.25, 0.1], [0.2, 0.12]])[0]


def test_a_gain_that_may_be_chance_is_not_used_and_said_so() -> None:
    accepted, reason = judged([[0.5, 0.5], [-0.3, -0.3], [0.1, 0.1]])
    assert (accepted, "chance" in reason) == (False, True)


def test_a_sure_gain_too_small_to_notice_is_not_used() -> None:
    assert not judged([[0.004, 0.004]] * 10)[0]


def test_a_gain_with_clicks_is_no_excuse_for_being_worse_with_boxes() -> None:
    accepted, reason = judged([[0.3, -0.05], [0.31, -0.06], [0.3, -0.05], [0.3, -0.05]])
    assert (accepted, "worse with box" in reason) == (False, True)


@pytest.mark.parametrize(("lost", "accepted"), [(0.01, True), (0.011, False)])
def test_generality_may_lose_a_hundredth_and_no_more(lost: float, accepted: bool) -> None:
    assert judged([[0.2, 0.1], [0.25, 0.1], [0.2, 0.12]], lost)[0] is accepted


def test_masks_of_one_task_count_as_one() -> None:
    same = Change.of(np.array([0.1, 0.1, 0.1, 0.3]), ["1", "1", "1", "2"])
    assert same.gain == pytest.approx(0.2)
    assert Change.of(np.array([0.1, 0.2]), ["1", "1"]).noise == float("inf")
