"""Drawn clips: any frame at any time, objects that come and go."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from demo_model.clips import Clip
from demo_model.movies import write_movie
from demo_model.shapes import Difficulty


def test_frames_may_be_asked_for_in_any_order() -> None:
    forwards, backwards = Clip(1, width=160, height=120), Clip(1, width=160, height=120)
    ahead = [forwards.frame(index) for index in (0, 7, 9_999)]
    behind = [backwards.frame(index) for index in (9_999, 7, 0)][::-1]
    for one, other in zip(ahead, behind, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.masks, other.masks)


def test_masks_keep_their_number_and_do_not_overlap() -> None:
    clip = Clip(2, difficulty="hard", width=160, height=120)
    for index in range(0, 60, 6):
        masks = clip.frame(index).masks
        assert masks.shape == (clip.objects, 120, 160)
        assert masks.sum(axis=0).max() <= 1


def test_objects_move() -> None:
    clip = Clip(3, width=160, height=120)
    assert not np.array_equal(clip.frame(0).labels, clip.frame(8).labels)


@pytest.mark.parametrize("difficulty", ["plain", "hard"])
def test_objects_are_out_of_sight_in_some_frames(difficulty: Difficulty) -> None:
    clips = [Clip(seed, difficulty=difficulty, split="training", width=96, height=72) for seed in range(24)]
    seen = [
        shown for clip in clips for i in range(0, 64, 4) for shown in clip.frame(i).masks.any(axis=(1, 2))
    ]
    assert 0.1 < 1 - np.mean(seen) < 0.3


def test_the_first_object_can_be_hidden_for_given_frames() -> None:
    for seed in range(6):
        clip = Clip(seed, width=160, height=120, hide=(8, 4))
        hidden = [index for index in range(24) if not clip.frame(index).masks[0].any()]
        assert set(hidden) >= {8, 9, 10, 11}
        assert not {0, 1, 20, 21, 22, 23} & set(hidden)


def test_a_movie_has_the_frames_it_was_given(tmp_path: Path) -> None:
    clip = Clip(4, width=160, height=120)
    frames = [clip.frame(index).image for index in range(6)]
    write_movie(tmp_path / "clip.mp4", frames)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 6
    assert np.abs(decoded[3].astype(int) - frames[3]).mean() < 12
