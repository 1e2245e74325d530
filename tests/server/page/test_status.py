"""What the page tells of the service's state."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.fakes.chromium import OpenPage
from tests.fakes.fake_service import CHECKS, JOB, TUNED, FakeService


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


def problem(project: int | None, **more: Any) -> dict[str, Any]:
    sentence = f"Label Studio can't reach this service at http://sam2-{project}:9090."
    remedy = f"Run `label-studio-sam2 connect --project {project}`."
    return {"name": "connection", "state": "problem", "sentence": sentence, "remedy": remedy} | {
        "project": project,
        **more,
    }


def test_the_pill_tells_the_worst_that_there_is(open_page: OpenPage, service: FakeService) -> None:
    trouble = {"error": "MediaUnavailable", "detail": "It is gone.", "at": "2026-11-24T02:00:00+00:00"}
    service.status["problems"] = {"7": trouble, "8": trouble}
    page = open_page(service.url)
    pill = page.locator("#pill")
    expect(pill).to_have_text("Ready: sam2.1_hiera_small on cuda; the last request failed in 2 projects")
    expect(pill).to_have_attribute("data-state", "warning")
    service.status["checks"] = CHECKS | {"found": [problem(number) for number in range(1, 19)]}
    page.reload()
    expect(pill).to_have_text("Ready: sam2.1_hiera_small on cuda, but 1 problem in the set-up")
    expect(pill).to_have_attribute("data-state", "trouble")


def test_one_cause_in_many_projects_is_one_entry_with_a_link_to_each(
    open_page: OpenPage, service: FakeService
) -> None:
    other = problem(2, name="media", sentence="The picture is gone.", remedy="Import it again.")
    service.status["checks"] = CHECKS | {"found": [*(problem(number) for number in (3, 5, 12)), other]}
    trouble = {"error": "MediaUnavailable", "detail": "It is gone.", "at": "2026-11-24T02:00:00+00:00"}
    service.status["problems"] = {"7": trouble, "8": trouble, "9": trouble | {"detail": "It is damaged."}}
    page = open_page(service.url)
    expect(page.locator("#checks li")).to_have_count(2)
    first = page.locator("#checks li").first
    expect(first).to_contain_text("Projects 3, 5 and 12: connection")
    expect(first).to_contain_text("label-studio-sam2 connect --project N")
    expect(first.get_by_role("link", name="5")).to_have_attribute(
        "href", "http://label-studio.example/projects/5/data"
    )
    expect(page.locator("#problems li")).to_have_count(2)
    expect(page.locator("#problems li").first).to_contain_text("Projects 7 and 8")


def test_what_is_fine_takes_a_line_a_project(open_page: OpenPage, service: FakeService) -> None:
    names = ("labeling config", "connection", "webhooks", "media")
    fine = [
        {"name": name, "state": "ok", "sentence": "Fine.", "remedy": "", "project": project}
        for project in range(1, 12)
        for name in names
    ]
    service.status["checks"] = CHECKS | {"found": [CHECKS["found"][0], *fine]}
    page = open_page(service.url)
    page.get_by_text("45 checks without a finding").click()
    rows = page.locator("#checks-fine-list li")
    expect(rows).to_have_count(12)
    expect(rows.nth(3)).to_have_text("Project 3: labeling config, connection, webhooks, media")
    expect(rows.nth(3).get_by_role("link")).to_have_attribute(
        "href", "http://label-studio.example/projects/3/data"
    )
    box = page.locator("#checks-fine-list").bounding_box()
    assert box is not None
    assert box["height"] < 800


def test_this_pages_own_jobs_do_not_push_a_projects_off_the_list(
    open_page: OpenPage, service: FakeService
) -> None:
    ended = {"state": "done", "result": None}
    clicks = [JOB | ended | {"id": f"c{n}", "kind": "warm", "title": f"Task {n}"} for n in range(30)]
    whole = JOB | ended | {"id": "w", "kind": "masks", "title": "Project 12", "message": "40 stored"}
    service.status["jobs"] = [*clicks, whole]
    page = open_page(service.url)
    expect(page.locator("#jobs li")).to_have_count(5)
    expect(page.locator("#jobs li").last).to_contain_text("Masks: Project 12")
    expect(page.locator("#jobs li").first).to_contain_text("Task 0")


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (
            {"version": None, "used": False, "reason": "Not tuned: 3 accepted masks are too few."},
            "too few masks",
        ),
        ({"version": "project12.v1", "used": False, "reason": "Not used: it is worse."}, "not better"),
        ({"version": "project12.v1", "used": True, "reason": "Used: it is better."}, "in use"),
    ],
)
def test_a_tuning_that_ended_says_what_came_of_it(
    open_page: OpenPage, service: FakeService, result: dict[str, Any], shown: str
) -> None:
    service.status["jobs"] = [JOB | {"kind": "fit", "title": "Project 12", "state": "done", "result": result}]
    page = open_page(service.url)
    expect(page.locator("#jobs li")).to_have_text(f"Tuning: Project 12{shown}{result['reason']}")


def test_a_job_shows_its_progress_and_can_be_stopped(open_page: OpenPage, service: FakeService) -> None:
    service.status["jobs"] = [JOB, JOB | {"id": "1", "state": "failed", "message": "The file is damaged."}]
    page = open_page(service.url)
    expect(page.locator("#jobs progress")).to_have_attribute("value", "240")
    expect(page.locator("#jobs li").first).to_contain_text("240 of 900 frames")
    expect(page.locator("#jobs li").nth(1)).to_contain_text("failedThe file is damaged.")
    stop = page.get_by_role("button", name="Stop Tracking: Player on task 12")
    with page.expect_response(lambda response: response.request.method == "DELETE"):
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
