from __future__ import annotations

import numpy as np
import pytest
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.learning.gate import Change, Limits, Measured, judge

KINDS = ["one click", "box"]
LIMITS = Limits(gain=0.01, agreement=0.95)
CLEAR = [[0.2, 0.1], [0.25, 0.1], [0.2, 0.12]]
USE = "label-studio-sam2 versions use 7 3"


def verdict(
    differences: list[list[float]],
    lost: float | None = 0.0,
    *,
    agreement: float | None = None,
    on_others: float = 0.0,
    limits: Limits = LIMITS,
) -> Verdict:
    before = np.full((len(differences), 2), 0.5)
    groups = [str(number) for number in range(len(differences))]
    after = before + np.array(differences)
    elsewhere = np.full((len(differences), 1), on_others)
    return judge(Measured(KINDS, groups, before, after, elsewhere, agreement, lost), limits, USE)


def judged(differences: list[list[float]], lost: float = 0.0) -> tuple[bool, str]:
    found = verdict(differences, lost)
    return found.accepted, found.reason


def test_a_clear_gain_is_used() -> None:
    assert judged(CLEAR)[0]


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
    assert judged(CLEAR, lost)[0] is accepted


@pytest.mark.parametrize(
    ("on_others", "accepted"), [(0.1, True), (0.68, False), (0.9, False)], ids=["worse", "as good", "better"]
)
def test_what_fits_as_well_on_other_tasks_pictures_was_not_learnt_from_pictures(
    on_others: float, accepted: bool
) -> None:
    found = verdict(CLEAR, on_others=on_others)
    assert (found.accepted, "doesn't follow what the pictures show" in found.reason) == (
        accepted,
        not accepted,
    )


@pytest.mark.parametrize(
    ("agreement", "limit", "accepted"),
    [(0.951, 0.95, True), (0.949, 0.95, False), (0.949, 0.9, True), (None, 0.95, True)],
)
def test_how_far_answers_elsewhere_may_change_is_the_projects_to_say(
    agreement: float | None, limit: float, accepted: bool
) -> None:
    found = verdict(CLEAR, None, agreement=agreement, limits=Limits(0.01, limit))
    assert (found.accepted, f'model_fit_agreement="{limit:g}"' in found.reason) == (accepted, not accepted)


def test_how_much_must_be_gained_is_the_projects_to_say() -> None:
    found = verdict(CLEAR, limits=Limits(0.3, 0.95))
    assert (found.accepted, 'model_fit_gain="0.3"' in found.reason) == (False, True)


@pytest.mark.parametrize("lost", [None, 0.02])
@pytest.mark.parametrize("agreement", [None, 0.9])
def test_a_refusal_says_how_to_use_it_all_the_same_and_what_that_costs(
    agreement: float | None, lost: float | None
) -> None:
    said = verdict([[-0.2, -0.1]] * 4, lost, agreement=agreement).reason
    assert f"`{USE}` uses it all the same: held-out IoU -0.150" in said
    assert ("elsewhere 0.900 as before" in said) == (agreement is not None)
    assert ("generic scenes -0.020" in said) == (lost is not None)


def test_masks_of_one_task_count_as_one() -> None:
    same = Change.of(np.array([0.1, 0.1, 0.1, 0.3]), ["1", "1", "1", "2"])
    assert same.gain == pytest.approx(0.2)
    assert Change.of(np.array([0.1, 0.2]), ["1", "1"]).noise == float("inf")
