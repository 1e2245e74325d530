from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.types import Bitmap

seeds = st.integers(0, 2**32)


def blob(seed: int) -> Bitmap:
    """Some pixels of a small picture, at least one."""
    rng = np.random.default_rng(seed)
    mask: Bitmap = rng.random((17, 23)) < rng.uniform(0.01, 0.9)
    mask[rng.integers(17), rng.integers(23)] = True
    return mask


@given(seeds)
@settings(deadline=None)
def test_a_click_lies_inside_the_mask(seed: int) -> None:
    mask = blob(seed)
    for rng in (None, np.random.default_rng(seed)):
        at = prompting.click(mask, rng)
        assert mask[int(at.y), int(at.x)]
        assert at.positive


@given(seeds, seeds)
@settings(deadline=None)
def test_a_correction_lies_in_the_larger_error_with_its_sign(one: int, other: int) -> None:
    truth, answered = blob(one), blob(other)
    at = prompting.correction(truth, answered, np.random.default_rng(one))
    missed, added = (truth & ~answered).sum(), (answered & ~truth).sum()
    if at is None:
        assert max(missed, added) <= 1
    else:
        assert at.positive == (missed >= added)
        assert truth[int(at.y), int(at.x)] == at.positive != answered[int(at.y), int(at.x)]


@given(seeds)
@settings(deadline=None)
def test_a_drawn_box_is_about_the_tight_one_and_inside_the_picture(seed: int) -> None:
    mask = blob(seed)
    tight, drawn = prompting.box(mask), prompting.box(mask, np.random.default_rng(seed))
    reach = prompting.JITTER * max(tight.x1 - tight.x0, tight.y1 - tight.y0) + 1e-6
    assert np.abs(np.subtract(tight, drawn)).max() <= reach
    assert 0 <= drawn.x0 < drawn.x1 <= 23
    assert 0 <= drawn.y0 < drawn.y1 <= 17


def test_without_chance_the_click_is_the_deepest_place_every_time() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[2:7, 3:8] = True
    assert prompting.click(mask) == prompting.click(mask) == (5.5, 4.5, True)


def test_a_right_answer_needs_no_correction() -> None:
    mask = blob(3)
    assert prompting.correction(mask, mask) is None


def test_an_empty_mask_cant_be_asked_for() -> None:
    with pytest.raises(AssertionError):
        prompting.click(np.zeros((4, 4), np.bool_))
