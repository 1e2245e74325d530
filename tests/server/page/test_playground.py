"""The playground against a service that answers as it is told to."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.fakes.chromium import OpenPage
from tests.fakes.fake_service import FILES, FakeService, Scripted
from tests.fakes.overlay import click, drag, overlay, shown

LOADING = {"detail": "The weights are still loading (40 of 184 MB).", "error": "NotReady"}
REFUSED = {
    "detail": "minio is at a private address: add minio to MEDIA_ALLOWED_HOSTS.",
    "error": "MediaRefused",
}


@pytest.fixture
def page(open_page: OpenPage, service: FakeService) -> Page:
    page = open_page(service.url)
    shown(page)
    return page


def prompts(service: FakeService) -> list[dict[str, object]]:
    result: list[dict[str, object]] = service.requests[-1]["params"]["context"]["result"]
    return result


def test_a_click_is_sent_as_a_positive_keypoint_in_percent(page: Page, service: FakeService) -> None:
    click(page, 0.25, 0.5)
    expect(page.locator("#answer")).to_contain_text("score 0.85")
    (prompt,) = prompts(service)
    assert (prompt["type"], prompt["is_positive"]) == ("keypointlabels", True)
    value = prompt["value"]
    assert isinstance(value, dict)
    assert value["keypointlabels"] == ["Object"]
    assert (value["x"], value["y"]) == pytest.approx((25, 50), abs=0.2)
    assert (prompt["original_width"], prompt["original_height"]) == (1280, 960)


def test_the_mask_is_drawn_where_the_answer_has_it(page: Page) -> None:
    click(page, 0.25, 0.5)
    expect(page.locator("#answer")).to_contain_text("score")
    drawn = overlay(page)
    rows, columns = np.nonzero(drawn)
    height, width = drawn.shape
    assert (columns.mean() / width, rows.mean() / height) == pytest.approx((0.25, 0.5), abs=0.01)
    assert np.ptp(columns) / width == pytest.approx(0.24, abs=0.02)


def test_an_alt_click_is_sent_as_a_negative_keypoint_beside_the_earlier_ones(
    page: Page, service: FakeService
) -> None:
    click(page, 0.25, 0.5)
    click(page, 0.3, 0.5, modifiers=["Alt"])
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    assert [prompt["is_positive"] for prompt in prompts(service)] == [True, False]


def test_with_exclude_chosen_a_plain_click_is_negative(page: Page, service: FakeService) -> None:
    click(page, 0.25, 0.5)
    page.get_by_role("radio", name="Exclude").check()
    click(page, 0.3, 0.5)
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    assert [prompt["is_positive"] for prompt in prompts(service)] == [True, False]


def test_a_drag_is_sent_as_a_box_whichever_way_it_was_drawn(page: Page, service: FakeService) -> None:
    drag(page, (0.5, 0.6), (0.2, 0.3))
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    (prompt,) = prompts(service)
    value = prompt["value"]
    assert isinstance(value, dict)
    assert prompt["type"] == "rectanglelabels"
    assert [value[key] for key in ("x", "y", "width", "height")] == pytest.approx([20, 30, 30, 30], abs=0.5)


def test_each_box_is_an_object_and_all_masks_are_shown(page: Page) -> None:
    drag(page, (0.1, 0.1), (0.3, 0.3))
    drag(page, (0.6, 0.6), (0.9, 0.9))
    expect(page.locator("#masks-title")).to_have_text("2 masks")
    drawn = overlay(page)
    assert drawn[int(0.2 * drawn.shape[0]), int(0.2 * drawn.shape[1])]
    assert drawn[int(0.75 * drawn.shape[0]), int(0.75 * drawn.shape[1])]


def test_candidates_are_shown_one_at_a_time_as_chosen(page: Page) -> None:
    click(page, 0.5, 0.5)
    candidates = page.locator("#masks button")
    expect(candidates).to_have_count(3)
    small = overlay(page).sum()
    candidates.nth(1).click()
    expect(page.locator("#answer")).to_contain_text("Candidate 2, score 0.77")
    expect(candidates.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(candidates.nth(1)).to_be_focused()
    assert overlay(page).sum() > 2 * small


def test_undo_takes_back_the_last_prompt_and_clear_all(page: Page, service: FakeService) -> None:
    click(page, 0.25, 0.5)
    click(page, 0.3, 0.5)
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    assert len(prompts(service)) == 1
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#results")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    assert not overlay(page).any()


def test_everything_can_be_done_with_the_keyboard(page: Page, service: FakeService) -> None:
    page.locator("#overlay").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Alt+Enter")
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    first, second = prompts(service)
    assert first["value"]["x"] > 50  # type: ignore[index]
    assert (first["is_positive"], second["is_positive"]) == (True, False)
    page.keyboard.press("Control+z")
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    page.keyboard.press("b")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    page.keyboard.press("b")
    expect(page.locator("#masks-title")).to_have_text("1 mask")
    assert [prompt["type"] for prompt in prompts(service)] == ["keypointlabels", "rectanglelabels"]


def test_escape_gives_up_a_box_that_was_begun(page: Page, service: FakeService) -> None:
    page.locator("#overlay").focus()
    for key in ("b", "ArrowRight", "ArrowDown", "Escape", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    assert [prompt["type"] for prompt in prompts(service)] == ["keypointlabels"]


def test_the_times_of_the_browser_and_of_the_service_are_shown(page: Page) -> None:
    click(page, 0.25, 0.5)
    expect(page.locator("#times")).to_contain_text("Round trip")
    expect(page.locator("#times")).to_contain_text("Encoding the picture120 ms")
    expect(page.locator("#times")).to_contain_text("Decoding the mask8.3 ms")


def test_an_error_is_shown_in_the_services_own_words(page: Page, service: FakeService) -> None:
    service.script = [Scripted(502, REFUSED)]
    click(page, 0.25, 0.5)
    expect(page.get_by_role("alert")).to_have_text(str(REFUSED["detail"]))
    click(page, 0.3, 0.5)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_error_without_words_and_a_silent_service_are_named_too(page: Page, service: FakeService) -> None:
    service.script = [Scripted(500, {})]
    click(page, 0.25, 0.5)
    expect(page.get_by_role("alert")).to_contain_text("status 500")
    page.route("**/predict", lambda route: route.abort())
    click(page, 0.3, 0.5)
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer")


def test_nothing_found_is_said(page: Page, service: FakeService) -> None:
    service.script = [Scripted(200, {"results": [{"result": []}]})]
    click(page, 0.25, 0.5)
    expect(page.locator("#answer")).to_contain_text("found nothing")


def test_while_the_model_loads_the_prompt_waits_and_is_sent_again(page: Page, service: FakeService) -> None:
    released = threading.Event()
    service.script = [Scripted(503, LOADING, {"Retry-After": "0.05"}), Scripted(released=released)]
    click(page, 0.25, 0.5)
    expect(page.locator("#message")).to_contain_text("40 of 184 MB")
    expect(page.locator("#busy")).to_be_visible()
    released.set()
    expect(page.locator("#answer")).to_contain_text("score")
    expect(page.locator("#message")).to_be_hidden()
    assert len(service.requests) == 2


def test_a_checkpoint_that_cannot_be_loaded_is_not_asked_for_again(page: Page, service: FakeService) -> None:
    service.script = [
        Scripted(503, {"detail": "model.pt is damaged: download it again.", "error": "CheckpointError"})
    ]
    click(page, 0.25, 0.5)
    expect(page.get_by_role("alert")).to_have_text("model.pt is damaged: download it again.")
    assert len(service.requests) == 1


def test_a_newer_click_gives_up_the_answer_to_an_older_one(page: Page, service: FakeService) -> None:
    released = threading.Event()
    service.script = [Scripted(released=released)]
    click(page, 0.2, 0.2)
    expect(page.locator("#busy")).to_be_visible()
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/predict")):
        click(page, 0.8, 0.8)
    released.set()
    expect(page.locator("#masks-title")).to_have_text("1 mask")


def test_an_opened_picture_is_announced_so_that_the_first_click_finds_it_encoded(
    page: Page, service: FakeService
) -> None:
    click(page, 0.25, 0.5)
    expect(page.locator("#answer")).to_contain_text("score")
    assert service.opened[0]["id"] == service.requests[0]["tasks"][0]["id"]
    assert service.opened[0]["data"]["image"].startswith("data:image/jpeg;base64,")


def test_a_file_is_sent_as_a_data_address(page: Page, service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "a photo's name.png"
    cv2.imwrite(str(path), np.full((60, 100, 3), 200, np.uint8))
    page.locator("#file").set_input_files(path)
    expect(page.locator("#source-name")).to_have_text("a photo's name.png")
    shown(page)
    click(page, 0.5, 0.5)
    expect(page.locator("#answer")).to_contain_text("score")
    assert service.requests[0]["tasks"][0]["data"]["image"].startswith("data:image/png;base64,")
    assert prompts(service)[0]["original_width"] == 100


def test_a_file_that_is_no_picture_is_named(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    page.locator("#file").set_input_files(path)
    expect(page.get_by_role("alert")).to_contain_text("cannot show notes.png")
    click(page, 0.5, 0.5)
    expect(page.locator("#curl")).to_be_hidden()


def test_an_address_is_sent_as_it_is(page: Page, service: FakeService) -> None:
    address = f"{service.url}web/sample.jpg?v=1"
    page.get_by_label("Address of a picture or video").fill(address)
    page.get_by_role("button", name="Load").click()
    expect(page.locator("#source-name")).to_have_text("sample.jpg")
    shown(page)
    click(page, 0.5, 0.5)
    expect(page.locator("#answer")).to_contain_text("score")
    assert service.requests[0]["tasks"][0]["data"] == {"image": address}


def test_an_address_that_is_none_is_refused_in_words(page: Page) -> None:
    page.get_by_label("Address of a picture or video").fill("photo.jpg")
    page.get_by_role("button", name="Load").click()
    expect(page.get_by_role("alert")).to_contain_text("begins with http")


@pytest.mark.parametrize("kind", ["sample", "file", "address"])
def test_the_curl_command_sends_the_same_request_from_a_shell(
    page: Page, service: FakeService, tmp_path: Path, kind: str
) -> None:
    name = "it's $HOME `here`.jpg"
    (tmp_path / name).write_bytes(FILES["sample.jpg"].read_bytes())
    if kind == "file":
        page.locator("#file").set_input_files(tmp_path / name)
        expect(page.locator("#source-name")).to_have_text(name)
    if kind == "address":
        page.get_by_label("Address of a picture or video").fill(f"{service.url}web/sample.jpg?a='$HOME'")
        page.get_by_role("button", name="Load").click()
        expect(page.locator("#source-name")).to_have_text("sample.jpg")
    shown(page)
    click(page, 0.25, 0.5)
    page.get_by_text("The same request as a curl command").click()
    expect(page.locator("#curl-text")).to_have_value(re.compile("END\n$"))
    expect(page.locator("#answer")).to_contain_text("score")
    command = page.locator("#curl-text").input_value()
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert '"results"' in done.stdout
    assert len(service.requests) == 2
    assert service.requests[0] == service.requests[1]


def test_copy_puts_the_command_on_the_clipboard(open_page: OpenPage, service: FakeService) -> None:
    page = open_page(service.url, permissions=["clipboard-read", "clipboard-write"])
    shown(page)
    click(page, 0.25, 0.5)
    page.get_by_text("The same request as a curl command").click()
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#answer")).to_have_text("Copied.")
    command = page.locator("#curl-text").input_value()
    page.wait_for_function("async (text) => await navigator.clipboard.readText() === text", arg=command)


def test_the_curl_command_asks_for_a_password_where_the_service_does(
    open_page: OpenPage, service: FakeService
) -> None:
    service.wants_password = True
    page = open_page(service.url)
    shown(page)
    click(page, 0.25, 0.5)
    page.get_by_text("The same request as a curl command").click()
    expect(page.locator("#curl-note")).to_contain_text("BASIC_AUTH_USER")
    expect(page.locator("#curl-text")).to_have_value(re.compile(r'-u "\$BASIC_AUTH_USER:\$BASIC_AUTH_PASS"'))


def test_a_tap_is_a_click_and_a_finger_draws_boxes_only_with_the_box_tool(
    open_page: OpenPage, service: FakeService
) -> None:
    page = open_page(service.url, size=(390, 844), has_touch=True, is_mobile=True)
    shown(page)
    page.locator("#overlay").tap(position={"x": 80, "y": 100})
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    expect(page.locator("#overlay")).to_have_css("touch-action", "manipulation")
    page.get_by_role("radio", name="Box").tap()
    expect(page.locator("#overlay")).to_have_css("touch-action", "none")


def find(page: Page, text: str) -> None:
    page.get_by_label("In words").fill(text)
    page.get_by_role("button", name="Find").click()


def test_words_are_sent_as_a_text_field_sends_them_and_each_mask_has_its_label_and_score(
    page: Page, service: FakeService
) -> None:
    find(page, 'red star, "big" ring & co; a cat')
    expect(page.locator("#answer")).to_have_text(
        '2 objects: red star 0.80, "big" ring & co 0.80. Not found: a cat.'
    )
    expect(page.locator("#masks li")).to_have_text(
        [re.compile(r"^red star: score 0.80, \d"), re.compile(r'^"big" ring & co: score 0.80')]
    )
    (prompt,) = prompts(service)
    assert prompt["type"] == "textarea"
    assert prompt["value"] == {"text": ['red star, "big" ring & co; a cat']}
    drawn = overlay(page)
    height, width = drawn.shape
    assert drawn[height // 2, width // 5]
    assert drawn[height // 2, width // 2]


def test_a_label_that_is_said_before_words_names_what_they_find(page: Page, service: FakeService) -> None:
    page.get_by_label("In words").fill("Shape: star, ring")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_have_text("1 object: Shape 0.80.")
    assert '<Label value="Shape"/></BitmaskLabels>' in service.requests[-1]["label_config"]


def test_words_and_what_is_pointed_at_take_each_others_place(page: Page, service: FakeService) -> None:
    click(page, 0.25, 0.5)
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    find(page, "star, ring")
    expect(page.locator("#masks-title")).to_have_text("2 masks")
    assert [prompt["type"] for prompt in prompts(service)] == ["textarea"]
    click(page, 0.25, 0.5)
    expect(page.locator("#masks-title")).to_have_text("Candidates")
    assert [prompt["type"] for prompt in prompts(service)] == ["keypointlabels"]
    find(page, "star")
    expect(page.locator("#answer")).to_contain_text("1 object")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#results")).to_be_hidden()


def test_words_that_find_nothing_and_words_that_are_none_are_named(page: Page, service: FakeService) -> None:
    find(page, "a cat")
    expect(page.locator("#answer")).to_contain_text('Nothing on the picture is found by "a cat"')
    find(page, " , ")
    expect(page.locator("#answer")).to_contain_text("Write what to find")
    assert len(service.requests) == 1


def test_words_ask_about_pictures_only(page: Page) -> None:
    page.get_by_role("button", name="Sample clip").click()
    expect(page.locator("#timeline")).to_be_visible()
    expect(page.get_by_label("In words")).to_be_hidden()
    page.get_by_role("button", name="Sample picture").click()
    expect(page.get_by_label("In words")).to_be_visible()


def test_the_curl_command_of_words_sends_them_from_a_shell_whatever_they_hold(
    page: Page, service: FakeService, tmp_path: Path
) -> None:
    find(page, """it's $HOME, `ring` <b> & "star" \\""")
    page.get_by_text("The same request as a curl command").click()
    expect(page.locator("#curl-text")).to_have_value(re.compile("END\n$"))
    expect(page.locator("#answer")).to_contain_text("2 objects")
    command = page.locator("#curl-text").input_value()
    subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, text=True)
    assert len(service.requests) == 2
    assert service.requests[0] == service.requests[1]
