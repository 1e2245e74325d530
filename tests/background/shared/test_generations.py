"""Tracks that are asked of two replicas in turn."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import asking_video as video
from tests.fakes.eventually import eventually
from tests.fakes.replicas import Pair

LAST = 28
SHORT = video.CONFIG.replace("<VideoRectangle ", f'<VideoRectangle model_frames="{LAST}" ')


def states(both: Pair, task: int) -> list[str]:
    return [job["state"] for job in both.jobs("track") if job["title"].startswith(f"Task {task}:")]


def drawn(region: dict[str, Any]) -> list[int]:
    return [one["frame"] for one in region["value"]["sequence"] if not one.get("auto")]


def test_a_track_that_both_replicas_are_at_and_nobody_waits_for_is_stored_once(together: Pair) -> None:
    (task,) = together.site.add("")
    for client in (together.first, together.second):
        video.ask(client, video.region("a", video.keyframe(1, 0)), config=SHORT, task=task)
    eventually(together.idle)
    assert states(together, task) == ["done", "done"]
    assert len(together.site.predictions(task)) == 1


@pytest.mark.slow
def test_a_track_that_is_corrected_at_another_replica_ends_and_is_not_stored(together: Pair) -> None:
    (task,) = together.site.add("")
    (begun,) = video.ask(together.first, video.region("a", video.keyframe(1, 0)), config=SHORT, task=task)
    begun["value"]["sequence"].append(video.keyframe(LAST, 0))
    video.ask(together.second, begun, config=SHORT, task=task)
    eventually(together.idle)
    assert states(together, task) == ["done", "cancelled"]
    (stored,) = together.site.predictions(task)
    assert drawn(stored["result"][0]) == [1, LAST]


def test_a_track_that_both_replicas_are_asked_for_in_turn_never_goes_back(
    together: Pair,
) -> None:
    (task,) = together.site.add("")
    region = video.region("a", video.keyframe(1, 0))
    ends = [0]
    while ends[-1] < LAST:
        (region,) = video.ask(together.balanced, region, config=SHORT, task=task)
        ends.append(region["meta"].get("tracked", [0, 0])[1])
    assert ends == sorted(ends)
    eventually(together.idle)
    assert states(together, task) == ["done", "done"]


@pytest.mark.slow
def test_a_correction_at_another_replica_goes_on_with_what_is_followed_beside_it(together: Pair) -> None:
    (task,) = together.site.add("")
    both = (video.region("a", video.keyframe(1, 0)), video.region("b", video.keyframe(1, 1)))
    one, other = video.ask(together.first, *both, config=SHORT, task=task)
    one["value"]["sequence"].append(video.keyframe(LAST, 0))
    video.ask(together.second, one, other, config=SHORT, task=task)
    eventually(together.idle)
    assert states(together, task) == ["done", "cancelled"]
    (stored,) = together.site.predictions(task)
    assert [region["id"] for region in stored["result"]] == ["a", "b"]
