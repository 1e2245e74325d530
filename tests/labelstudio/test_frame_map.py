from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.frame_map import FrameMap, editor_rate
from numpy.typing import NDArray

rates = st.sampled_from([10, 12, 15, 24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60])


def constant(rate: float, count: int) -> NDArray[np.float64]:
    return np.arange(count) / rate


@given(rates, st.integers(1, 400))
def test_at_the_files_own_rate_frame_n_is_source_frame_n_minus_one(rate: float, count: int) -> None:
    frames = FrameMap(constant(rate, count), rate, count)

    assert [frames.source(number) for number in range(1, count + 1)] == list(range(count))


@given(rates, st.integers(2, 400))
def test_times_rounded_to_milliseconds_as_in_matroska_change_nothing(rate: float, count: int) -> None:
    frames = FrameMap(constant(rate, count).round(3), rate, count)

    assert [frames.source(number) for number in range(1, count + 1)] == list(range(count))


@given(rates, rates, st.integers(2, 300))
def test_there_and_back_agree(editor: float, file: float, count: int) -> None:
    times = constant(file, count)
    frames = FrameMap(times, editor, max(1, round(count / file * editor)))

    for number in range(1, frames.count + 1):
        assert number in frames.numbers(frames.source(number))
    for source in range(count):
        assert all(frames.source(number) == source for number in frames.numbers(source))
    shown = [frames.source(number) for number in range(1, frames.count + 1)]
    assert shown == sorted(shown)


@given(rates, rates, st.integers(2, 300))
def test_a_frame_shows_what_has_begun_by_its_time(editor: float, file: float, count: int) -> None:
    times = constant(file, count)
    frames = FrameMap(times, editor, max(1, round(count / file * editor)))

    for number in range(1, frames.count + 1):
        time = (number - 1) / editor
        shown = frames.source(number)
        assert times[shown] <= time + 0.003 + 1e-9
        assert shown == count - 1 or times[shown + 1] > time + 0.001 - 1e-9


def test_the_measured_case_of_24_frames_counted_in_a_file_of_25() -> None:
    frames = FrameMap(constant(25, 100), 24, 96)

    assert frames.source(49) == 50


def test_uneven_times_are_met_by_time() -> None:
    frames = FrameMap(np.array([0, 0.1, 0.5, 0.52, 1.0]), 10, 11)

    assert [frames.source(number) for number in range(1, 12)] == [0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4]
    assert frames.numbers(1) == range(2, 6)
    assert frames.numbers(3) == range(7, 11)


def test_a_source_frame_that_is_never_shown_has_no_number_but_a_nearest() -> None:
    frames = FrameMap(constant(50, 100), 25, 50)

    assert list(frames.numbers(1)) == []
    assert frames.number(1) == 2
    assert frames.number(99) == 50


def test_numbers_outside_are_taken_for_the_first_and_last() -> None:
    frames = FrameMap(constant(25, 10), 25, 10)

    assert (frames.source(0), frames.source(11)) == (0, 9)


@pytest.mark.parametrize(
    ("editor", "file", "says"), [(24, 25, "25"), (30, 30000 / 1001, "29.97"), (25, 25.001, "")]
)
def test_a_disagreement_is_put_into_a_sentence(editor: float, file: float, says: str) -> None:
    note = FrameMap(constant(file, 10), editor, 10).disagreement(file)

    assert (f'framerate="{says}' in note) if says else note == ""


@pytest.mark.parametrize(
    ("given_rate", "count", "duration", "file", "rate"),
    [
        (25.0, 100, 4.0, 25, 25),
        (None, 96, 4.0, 25, 24),
        (None, 100, 4.0, 25, 25),  # framerate="$fps": the tag says nothing, the region does
        (30.0, 121, 4.004, 30000 / 1001, 30),
        (None, 97, 4.004, 25, 24),
        (None, 40, 4.0, 25, 10),
        (12.0, None, None, 25, 12),
        (None, None, 4.0, 25, 24),
    ],
)
def test_the_editors_rate_agrees_with_the_region(
    given_rate: float | None, count: int | None, duration: float | None, file: float, rate: float
) -> None:
    assert editor_rate(given_rate, count, duration, file) == pytest.approx(rate)
