"""What the page tells of the service's state."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web.conftest import OpenPage
from tests.web.fake_service import FakeService

JOB = {
    "id": "5f0c",
    "kind": "track",
    "title": "Player on task 12",
    "state": "running",
    "progress": {"done": 240, "total": 900, "unit": "frames"},
    "message": "",
}


CHECKS = [
    {"name": "Redis", "state": "ok", "sentence": "It answers.", "remedy": "", "project": None},
    {
        "name": "disk",
        "state": "warning",
        "sentence": "2 GB are left.",
        "remedy": "Make room.",
        "project": None,
    },
    {
        "name": "interactive",
        "state": "problem",
        "sentence": "Interactive predictions are off.",
        "remedy": "Switch it on.",
        "project": 12,
    },
]


def test_the_model_its_device_and_the_cache_are_shown(open_page: OpenPage, service: FakeService) -> None:
    page = open_page(service.url)
    expect(page.locator("#pill")).to_have_text("Ready: sam2.1_hiera_small on cuda")
    expect(page.locator("#facts")).to_contain_text("sam2.1_hiera_small-6d1aa6f3")
    expect(page.locator("#cache")).to_contain_text("from memory91 (91%)")
    expect(page.locator("#cache")).to_contain_text("300 of 2,048 MB")
    expect(page.locator("#queue")).to_contain_text("empty")
    expect(page.locator("#demo-note")).to_be_hidden()


def test_a_project_s_last_problem_is_shown_with_its_remedy(open_page: OpenPage, service: FakeService) -> None:
    detail = "set LABEL_STUDIO_API_KEY to a <personal> access token."
    service.status["problems"] = {
        "7": {"error": "MediaUnavailable", "detail": "older", "at": "2026-11-24T02:00:00+00:00"},
        "12": {"error": "LabelStudioError", "detail": detail, "at": "2026-11-24T02:11:05+00:00"},
    }
    page = open_page(service.url)
    expect(page.locator("#problems li").first).to_contain_text("Project 12")
    expect(page.locator("#problems li").first).to_contain_text(detail)
    expect(page.locator("#problems li")).to_have_count(2)


def test_the_demo_model_is_named_for_what_it_is(open_page: OpenPage, service: FakeService) -> None:
    service.status["model"] = "demo"
    page = open_page(service.url)
    expect(page.locator("#demo-note")).to_contain_text("no good on photos")


def test_a_loading_model_is_followed_until_it_is_ready(open_page: OpenPage, service: FakeService) -> None:
    ready = service.status
    service.status = ready | {
        "ready": False,
        "device": None,
        "reason": "The weights are loading.",
        "cache": {},
        "queue": {},
    }
    page = open_page(service.url)
    expect(page.locator("#pill")).to_have_attribute("data-state", "loading")
    expect(page.locator("#reason")).to_have_text("The weights are loading.")
    service.status = ready
    expect(page.locator("#pill")).to_have_attribute("data-state", "ready")
    expect(page.locator("#reason")).to_be_hidden()


def test_a_job_shows_its_progress_and_can_be_stopped(open_page: OpenPage, service: FakeService) -> None:
    service.status["jobs"] = [JOB, JOB | {"id": "1", "state": "failed", "message": "The file is damaged."}]
    page = open_page(service.url)
    expect(page.locator("#jobs progress")).to_have_attribute("value", "240")
    expect(page.locator("#jobs li").first).to_contain_text("240 of 900 frames")
    expect(page.locator("#jobs li").nth(1)).to_contain_text("failedThe file is damaged.")
    stop = page.get_by_role("button", name="Stop Tracking: Player on task 12")
    with page.expect_request(lambda request: request.method == "DELETE"):
        stop.click()
    expect(stop).to_be_disabled()
    assert service.cancelled == ["5f0c"]


def test_a_service_that_went_away_is_named(open_page: OpenPage, service: FakeService) -> None:
    service.status["ready"] = False
    page = open_page(service.url)
    expect(page.locator("#pill")).to_have_attribute("data-state", "loading")
    page.route("**/", lambda route: route.abort())
    expect(page.locator("#pill")).to_have_text("The service does not answer")


def test_the_checks_of_the_set_up_are_shown_what_stands_badly_first(
    open_page: OpenPage, service: FakeService
) -> None:
    page = open_page(service.url)
    expect(page.locator("#facts")).to_contain_text("cuda")
    expect(page.locator("#checks-card")).to_be_hidden()
    service.status["checks"] = CHECKS
    page.reload()
    expect(page.locator("#checks li").first).to_contain_text("Project 12: interactive")
    expect(page.locator("#checks li").first).to_contain_text("Switch it on.")
    expect(page.locator("#checks li")).to_have_count(3)
