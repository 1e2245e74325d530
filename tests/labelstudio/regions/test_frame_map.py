from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.regions.frame_map import Counted, FrameMap, editor_count, editor_rate
from numpy.typing import NDArray

from tests.fakes.clips import known

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
    video = known(constant(file, 100))
    assert editor_rate(given_rate, Counted(count, duration), video) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("duration", "rate", "count"),
    [(2.5, 1, 3), (0.5, 1, 1), (3.5, 1, 4), (2.44, 25, 61), (4.004, 30, 120), (0.001, 25, 1), (2.02, 25, 51)],
)
def test_frames_are_counted_by_javascripts_rounding(duration: float, rate: float, count: int) -> None:
    """Math.round takes a half upward: not to the even number, and not every part of a frame."""
    assert editor_count(duration, rate) == count
    assert FrameMap.of(known(np.array([0.0]), duration=duration), rate, Counted()).count == count


LATE = 0.48 + np.arange(60) / 25
"""As of a clip that says that it lasts 2.4 s, from 0.48 s on."""


@pytest.mark.parametrize(
    ("duration", "shown", "noted"),
    [
        (2.72, 8, False),  # Chromium has read that it ends later
        (2.4, 20, False),  # Firefox
        (None, 8, True),
    ],
)
def test_a_clip_that_begins_late_is_counted_as_by_the_browser_that_the_region_tells(
    duration: float | None, shown: int, noted: bool
) -> None:
    video = known(LATE, duration=2.4, begin=0.48)
    frames = FrameMap.of(video, 25, Counted(60 if duration else None, duration))
    assert frames.rate == 25
    assert frames.source(21) == shown
    assert ("begins 0.48 s late" in frames.note) is noted


@pytest.mark.parametrize("count", [100, 112])
def test_where_the_region_does_not_tell_the_browser_it_is_chromium_with_a_note(count: int) -> None:
    """Both say 4.0 s of what is longer than Chromium reads ahead; and WebM's own duration counts from zero."""
    longer = known(0.48 + np.arange(100) / 25, duration=4.0, begin=0.48)
    webm = known(0.48 + np.arange(100) / 25, duration=4.48, begin=0.48)
    video = longer if count == 100 else webm
    frames = FrameMap.of(video, 25, Counted(count, video.duration))
    assert frames.source(21) == 8
    assert "Chromium counts and Firefox doesn't" in frames.note


def test_a_first_frame_that_is_late_by_less_than_anybody_sees_is_not_spoken_of() -> None:
    video = known(0.001 + np.arange(100) / 25, duration=4.0, begin=0.001)
    assert FrameMap.of(video, 25, Counted()).note == ""


HOURS = 90_000 + np.arange(40) / 25
"""As of a small Matroska file that begins at hour 25 and says that it ends there too."""


def test_a_recording_with_an_absolute_clock_has_a_few_keyframes_and_none_behind_its_last_frame() -> None:
    video = known(HOURS, duration=90_001.6, begin=90_000.0)
    frames = FrameMap.of(video, 25, Counted(2_250_040, 90_001.6))
    assert [frames.source(number) for number in (1, 2_250_001, 2_250_002, 2_250_040)] == [0, 0, 1, 39]
    assert frames.keyframes(0) == (1, 2_250_001)
    assert sum(len(frames.keyframes(source)) for source in range(40)) == 41
    assert frames.end == 2_250_040


def test_what_a_browser_counts_from_the_first_frame_of_an_absolute_clock_is_told_by_its_duration() -> None:
    frames = FrameMap.of(known(HOURS, duration=90_001.6, begin=90_000.0), 25, Counted(40, 1.6))
    assert (frames.source(1), frames.source(21), frames.note) == (0, 20, "")


@pytest.mark.parametrize(("rate", "count", "end"), [(12.5, 63, 31), (25.0, 125, 60), (50.0, 250, 120)])
def test_sound_that_goes_on_after_the_picture_gets_no_keyframe(rate: float, count: int, end: int) -> None:
    frames = FrameMap.of(known(constant(25, 60), duration=5.0), rate, Counted(count, 5.0))
    assert frames.count == count
    assert frames.end == end
    assert frames.numbers(59).stop == frames.count + 1


def test_a_still_end_has_its_keyframe_where_it_begins() -> None:
    times = np.append(constant(25, 50), 4.0)
    frames = FrameMap.of(known(times, duration=60.0), 25, Counted(1500, 60.0))
    assert frames.keyframes(49) == range(50, 101)
    assert frames.end in range(101, 104)
    assert frames.source(1500) == 50


@pytest.mark.parametrize(
    ("frames", "duration"), [(10**7, 1.92), (4 * 10**9, None), (10**12, 4.0), (48, 1e-9)]
)
def test_more_frames_than_a_video_can_have_are_refused_in_a_sentence(
    frames: int, duration: float | None
) -> None:
    with pytest.raises(PromptError, match=r'"framesCount".*framerate'):
        FrameMap.of(known(constant(25, 48)), 25, Counted(frames, duration))


@settings(max_examples=25)
@given(rates, rates, st.integers(2, 300), st.floats(0, 3))
def test_the_editors_frames_are_what_it_seeks_to(editor: float, file: float, count: int, late: float) -> None:
    """Against its own arithmetic, frame by frame."""
    times = late + constant(file, count)
    frames = FrameMap(times, editor, 200)
    for number in range(1, 201):
        sought = np.floor((number - 1) / editor / 0.002 + 0.5) * 0.002 + 0.002
        assert frames.source(number) == max(0, int(np.searchsorted(times, sought + 1e-9, side="right")) - 1)
