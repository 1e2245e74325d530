"""Following an object through a clip, and stepping through what was found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from label_studio_sam2.demo import SAMPLE_CLIP
from playwright.sync_api import Page, expect
from pycocotools import mask as coco

from tests.fakes.chromium import OpenPage
from tests.fakes.fake_service import FakeService
from tests.fakes.overlay import click, drag, overlay, shown

READ = """async (rle) => {
  const { fromRle } = await import('/web/masks.js');
  const canvas = fromRle(rle);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(data).filter((_, at) => at % 4 === 3).map((alpha) => alpha > 0);
}"""


@pytest.fixture
def page(open_page: OpenPage, service: FakeService) -> Page:
    page = open_page(service.url)
    page.get_by_role("button", name="Sample clip").click()
    expect(page.locator("#source-name")).to_have_text("Sample clip")
    shown(page)
    return page


def track(page: Page) -> None:
    drag(page, (0.3, 0.3), (0.5, 0.6))
    expect(page.locator("#masks-title")).to_have_text("Track")


def to_frame(page: Page, frame: int) -> None:
    page.locator("#frame").fill(str(frame))
    expect(page.locator("#masks")).to_contain_text(f"frame {frame}:")
    page.wait_for_function("() => !document.getElementById('clip').seeking")


def test_the_clips_frames_are_counted_at_its_own_rate(page: Page) -> None:
    file = cv2.VideoCapture(str(SAMPLE_CLIP))
    expect(page.locator("#fps")).to_have_value(f"{file.get(cv2.CAP_PROP_FPS):g}")
    expect(page.locator("#frame-text")).to_have_text(f"1 / {file.get(cv2.CAP_PROP_FRAME_COUNT):g}")


def test_a_box_is_sent_as_one_region_with_its_frame(page: Page, service: FakeService) -> None:
    page.get_by_role("button", name="Next frame").click()
    track(page)
    (request,) = service.requests
    (region,) = request["params"]["context"]["result"]
    assert 'framerate="12"' in request["label_config"]
    assert request["tasks"][0]["data"]["video"].startswith("data:video/mp4;base64,")
    assert (region["type"], region["value"]["framesCount"], region["value"]["duration"]) == (
        "videorectangle",
        48,
        4,
    )
    (keyframe,) = region["value"]["sequence"]
    assert (keyframe["frame"], keyframe["enabled"]) == (2, True)
    assert [keyframe[key] for key in ("x", "y", "width", "height")] == pytest.approx(
        [30, 30, 20, 30], abs=0.5
    )


def test_each_frame_shows_its_own_mask(page: Page) -> None:
    track(page)
    for frame in (1, 11):
        to_frame(page, frame)
        drawn = overlay(page)
        rows, columns = np.nonzero(drawn)
        left = 0.30 + 0.01 * (frame - 1)
        assert columns.min() / drawn.shape[1] == pytest.approx(left, abs=0.01)
        assert columns.max() / drawn.shape[1] == pytest.approx(left + 0.2, abs=0.01)
        assert rows.min() / drawn.shape[0] == pytest.approx(0.3, abs=0.02)


def test_masks_are_read_as_pycocotools_writes_them(open_page: OpenPage, service: FakeService) -> None:
    """Specks, whole columns (runs that go on in the next one), nothing and everything."""
    page = open_page(service.url)
    for shape in [(1, 1), (7, 5), (48, 64), (64, 48)]:
        columns = np.zeros(shape, np.bool_)
        columns[:, shape[1] // 2 :] = True
        blocks = [np.random.default_rng(seed).random(shape) < seed / 10 for seed in (0, 1, 5, 9, 10)]
        for mask in (columns, ~columns, *blocks):
            packed = coco.encode(np.asfortranarray(mask, np.uint8))
            rle = {"size": list(shape), "counts": packed["counts"].decode()}
            np.testing.assert_array_equal(np.reshape(page.evaluate(READ, rle), shape), mask)


def test_where_the_object_is_out_of_sight_nothing_is_drawn(page: Page) -> None:
    track(page)
    expect(page.locator("#answer")).to_contain_text("visible on 43 frames")
    to_frame(page, 22)
    expect(page.locator("#masks")).to_contain_text("not visible")
    assert not overlay(page).any()


def test_the_video_shows_the_frame_that_the_number_names(page: Page) -> None:
    track(page)
    to_frame(page, 31)
    seconds = page.evaluate("() => document.getElementById('clip').currentTime")
    assert 30 / 12 < seconds < 31 / 12


def test_a_second_box_on_another_frame_is_a_correction_of_the_same_region(
    page: Page, service: FakeService
) -> None:
    track(page)
    to_frame(page, 11)
    drag(page, (0.5, 0.3), (0.7, 0.6))
    expect(page.locator("#answer")).to_contain_text("Tracked up to")
    first, second = (request["params"]["context"]["result"][0] for request in service.requests)
    assert first["id"] == second["id"]
    assert second["meta"]["tracked"] == [1, 48]
    keyframes = {keyframe["frame"]: keyframe for keyframe in second["value"]["sequence"]}
    assert "rle" in keyframes[10]
    assert keyframes[11]["x"] == pytest.approx(50, abs=0.5)
    assert not {"rle", "auto"} & keyframes[11].keys()


@pytest.mark.slow
def test_an_undone_correction_is_tracked_from_the_boxes_that_are_left(
    page: Page, service: FakeService
) -> None:
    track(page)
    to_frame(page, 11)
    drag(page, (0.5, 0.3), (0.7, 0.6))
    expect(page.locator("#answer")).to_contain_text("Tracked up to")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#answer")).to_contain_text("Tracked up to")
    first, *_, last = service.requests
    assert first == last


def test_a_track_that_goes_on_in_the_background_says_so_and_can_be_fetched(
    page: Page, service: FakeService
) -> None:
    service.last_frame = 30
    track(page)
    expect(page.locator("#answer")).to_contain_text("frames 1-30 of 48")
    service.last_frame = None
    page.get_by_role("button", name="Fetch the rest of the track").click()
    expect(page.locator("#answer")).to_contain_text("Tracked up to frame 48")
    expect(page.locator("#track-on")).to_be_hidden()
    sent = service.requests[1]["params"]["context"]["result"][0]
    assert sent["meta"]["tracked"] == [1, 30]
    assert [keyframe["frame"] for keyframe in sent["value"]["sequence"]] == [*range(1, 20), *range(25, 31)]


def test_a_click_on_a_clip_says_that_a_box_is_wanted(page: Page, service: FakeService) -> None:
    click(page, 0.5, 0.5)
    expect(page.locator("#answer")).to_contain_text("Drag a box")
    expect(page.get_by_role("radio", name="Include")).to_be_disabled()
    assert not service.requests


@pytest.mark.slow
def test_the_clip_plays_with_its_masks_and_stops_at_its_end(page: Page) -> None:
    track(page)
    to_frame(page, 40)
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#frame-text")).to_have_text("48 / 48")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    expect(page.locator("#masks")).to_contain_text("frame 48: visible")


def test_comma_and_full_stop_step_through_the_frames(page: Page) -> None:
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press(",")
    expect(page.locator("#frame-text")).to_have_text("2 / 48")
