"""Tracks that die on their way: what is answered, what is remembered, what is said of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from label_studio_sam2.errors import MediaUnreadable
from label_studio_sam2.server.in_process import running

from tests.fakes.asking import body
from tests.fakes.asking_video import CLIP, CONFIG, COUNT, ask, keyframe, masks, region, visible_frame
from tests.fakes.eventually import eventually
from tests.fakes.failing_track import FailingTracks


@pytest.fixture(scope="module")
def tracks() -> FailingTracks:
    return FailingTracks()


@pytest.fixture(scope="module")
def client(tracks: FailingTracks) -> Iterator[httpx.Client]:
    with (
        running(tracks.settings, context=tracks) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        yield client


def problem(client: httpx.Client) -> dict[str, str]:
    found: dict[str, str] = client.get("/").json()["problems"].get("1", {})
    return found


LAST = visible_frame(0, after=COUNT - 8)
"""Near the end of the clip, so that a track is short."""


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), MemoryError(), ZeroDivisionError()])
def test_a_track_that_fails_on_its_way_answers_what_it_found_says_so_and_is_not_remembered(
    client: httpx.Client, tracks: FailingTracks, error: Exception
) -> None:
    name = type(error).__name__
    tracks.error, tracks.frames, begun = error, 3, tracks.tracks
    (first,) = ask(client, region(name, keyframe(LAST, 0)), task=1)
    assert list(masks(first)) == [LAST, LAST + 1, LAST + 2]
    assert first["meta"]["tracked"] == [LAST, LAST + 2]
    assert any("failed unexpectedly" in line for line in first["meta"]["text"])
    said = problem(client)
    assert "Task 1: Tracking failed unexpectedly" in said["detail"]
    job = next(one for one in client.get("/jobs").json()["jobs"] if one["kind"] == "track")
    assert job["state"] == "failed"
    assert job["id"] in said["detail"]

    (again,) = ask(client, region(name, keyframe(LAST, 0)), task=1)
    assert list(masks(again)) == list(masks(first))
    assert tracks.tracks == begun + 2  # neither is remembered

    tracks.error = None
    (whole,) = ask(client, first, task=1)
    assert max(masks(whole)) > LAST + 2
    assert whole["meta"]["tracked"] == [LAST, COUNT]
    assert "text" not in whole["meta"]
    assert problem(client) == {}


def test_a_track_that_fails_at_once_is_an_error_with_a_sentence_and_the_next_click_tracks(
    client: httpx.Client, tracks: FailingTracks
) -> None:
    tracks.error, tracks.frames = RuntimeError("device-side assert"), 0
    asked = body("", [region("at once", keyframe(LAST, 0))], CONFIG) | {
        "tasks": [{"id": 2, "data": {"video": CLIP}}]
    }
    answer = client.post("/predict", json=asked)
    assert answer.status_code == 500
    assert "Tracking failed unexpectedly" in answer.json()["detail"]
    assert "device-side assert" not in answer.text
    assert "Tracking failed unexpectedly" in problem(client)["detail"]
    tracks.error = None
    assert client.post("/predict", json=asked).status_code == 200
    assert problem(client) == {}


def test_an_error_that_says_what_to_do_is_said_as_it_is(client: httpx.Client, tracks: FailingTracks) -> None:
    tracks.error, tracks.frames = MediaUnreadable("Frame 7 can't be decoded; the file is damaged."), 2
    (answered,) = ask(client, region("named", keyframe(LAST, 0)), task=3)
    assert any("Frame 7 can't be decoded" in line for line in answered["meta"]["text"])
    assert problem(client)["error"] == "MediaUnreadable"
    tracks.error = None


@pytest.mark.slow
def test_what_fails_after_its_request_was_answered_is_a_problem_of_the_project_too() -> None:
    tracks = FailingTracks(predict_budget=0.01)
    tracks.error, tracks.frames = RuntimeError("late"), 5
    with (
        running(tracks.settings, context=tracks) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        ask(client, region("late", keyframe(LAST, 0)))
        eventually(lambda: "failed unexpectedly" in problem(client).get("detail", ""), seconds=30)
