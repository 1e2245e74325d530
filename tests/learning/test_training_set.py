from __future__ import annotations

from collections import Counter

from label_studio_sam2.learning.training_set import side_of


def test_of_eight_tasks_in_a_row_two_are_held_out_and_one_checks() -> None:
    for first in range(0, 800, 8):
        sides = Counter(side_of(task) for task in range(first, first + 8))
        assert sides == {"held out": 2, "checking": 1, "training": 5}


def test_a_tasks_side_is_the_same_in_every_release() -> None:
    """A version's held-out figures say nothing of tasks that an earlier one was trained on."""
    held_out = [2, 6, 12, 14, 17, 18, 25, 29, 34, 39]
    assert [task for task in range(1, 41) if side_of(task) == "held out"] == held_out
    assert [task for task in range(1, 41) if side_of(task) == "checking"] == [4, 9, 23, 28, 38]
