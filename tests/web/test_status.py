"""What the page tells of the service's state."""

from __future__ import annotations

import pytest
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


CHECKS = {
    "found": [
        {"name": "redis", "state": "ok", "sentence": "Redis answers.", "remedy": "", "project": None},
        {
            "name": "disk",
            "state": "warning",
            "sentence": "1.9 GiB are free for /model_cache.",
            "remedy": "Free some, or point MODEL_CACHE to a larger disk.",
            "project": None,
        },
        {
            "name": "connection",
            "state": "problem",
            "sentence": "The project's ML backend is not interactive, so that a click asks nobody.",
            "remedy": "Run `label-studio-sam2 connect --project 12`, or switch it on under <Settings>.",
            "project": 12,
        },
    ],
    "at": "2026-11-24T02:11:05+00:00",
    "running": False,
}
LINEAGE = {
    "base": "sam2.1_hiera_small",
    "base_hash": "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    "figures": {"held_out": {"one click": {"before": 0.8124, "after": 0.8542}}, "generic_loss": 0.0012},
}
TUNED = [
    LINEAGE
    | {
        "project": 12,
        "number": number,
        "accepted": accepted,
        "reason": reason,
        "created": f"2026-11-24T0{number}:00:00+00:00",
        "report": f"/reports/12/{number}",
    }
    for number, accepted, reason in (
        (1, True, "Used: held-out IoU rises by 0.020 (±0.004)."),
        (2, False, "Not used: it is worse with box on held-out tasks."),
        (3, True, "Used: held-out IoU rises by 0.042 (±0.010)."),
    )
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


def test_the_checks_of_the_set_up_are_shown_with_what_to_do_the_worst_first(
    open_page: OpenPage, service: FakeService
) -> None:
    page = open_page(service.url)
    expect(page.locator("#checks")).to_have_text("Not made yet.")
    service.status["checks"] = CHECKS
    page.reload()
    expect(page.locator("#checks li")).to_have_count(2)
    worst = page.locator("#checks li").first
    expect(worst).to_contain_text("Project 12: connectionproblem")
    expect(worst).to_contain_text("not interactive")
    expect(worst).to_contain_text(
        "Run label-studio-sam2 connect --project 12, or switch it on under <Settings>."
    )
    expect(worst.locator("code")).to_have_text("label-studio-sam2 connect --project 12")


def test_what_is_fine_is_counted_and_shown_on_demand(open_page: OpenPage, service: FakeService) -> None:
    service.status["checks"] = CHECKS | {"found": CHECKS["found"][:1]}
    page = open_page(service.url)
    expect(page.locator("#checks")).to_have_text("Nothing stands in the way of a mask.")
    expect(page.get_by_text("Redis answers.")).to_be_hidden()
    page.get_by_text("1 check without a finding").click()
    expect(page.get_by_text("Redis answers.")).to_be_visible()


@pytest.mark.slow
def test_the_checks_are_made_anew_when_somebody_has_mended_something(
    open_page: OpenPage, service: FakeService
) -> None:
    service.status["checks"] = CHECKS
    page = open_page(service.url)
    expect(page.locator("#checks li")).to_have_count(2)
    service.status["checks"] = CHECKS | {"running": True}
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("#look-again")).to_have_text("Looking…")
    service.status["checks"] = CHECKS | {"found": CHECKS["found"][:1]}
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
    expect(page.locator("#checks")).to_have_text("Nothing stands in the way of a mask.")
    assert service.looks == 1


def test_tuned_versions_are_shown_with_their_figures_and_reports(
    open_page: OpenPage, service: FakeService
) -> None:
    service.versions |= {"tuned": TUNED, "in_use": {"12": 3}}
    page = open_page(service.url)
    live, refused, replaced = page.locator("#tuned li").all()
    expect(live).to_contain_text("Project 12, version 3in use")
    expect(live).to_contain_text("held-out IoU rises by 0.042")
    expect(live).to_contain_text("one click 0.812 → 0.854")
    expect(refused).to_contain_text("version 2not in useNot used: it is worse with box on held-out tasks.")
    expect(replaced).to_contain_text("version 1not in use")
    expect(replaced).to_contain_text("since then another was chosen")
    report = live.get_by_role("link", name="Report of project 12, version 3")
    expect(report).to_have_attribute("href", f"{service.url}reports/12/3")


def test_a_version_that_was_tuned_from_another_model_is_not_called_live(
    open_page: OpenPage, service: FakeService
) -> None:
    service.versions |= {"tuned": [TUNED[0] | {"base": "sam2.1_hiera_tiny"}], "in_use": {"12": 1}}
    page = open_page(service.url)
    expect(page.locator("#tuned li")).to_contain_text("not in useIt belongs to sam2.1_hiera_tiny-6d1aa6f3")
