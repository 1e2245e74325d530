"""axe, the contrast of both schemes included, and the width of a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.fakes.chromium import DESKTOP, OpenPage
from tests.fakes.fake_service import CHECKS, JOB, TUNED, FakeService, Scripted
from tests.fakes.overlay import click, shown

PHONE = (390, 844)


def full(open_page: OpenPage, service: FakeService, size: tuple[int, int], scheme: str) -> Page:
    """The page with everything on it that it can show."""
    service.status |= {
        "model": "demo",
        "ready": False,
        "reason": "The weights are loading.",
        "jobs": [JOB],
        "checks": CHECKS,
        "problems": {
            "12": {"error": "MediaError", "detail": "Set a key.", "at": "2026-11-24T02:11:05+00:00"}
        },
    }
    service.versions |= {"tuned": TUNED, "in_use": {"12": 3}}
    page = open_page(service.url, size=size, color_scheme=scheme, reduced_motion="reduce")
    shown(page)
    click(page, 0.25, 0.5)
    expect(page.locator("#masks button")).to_have_count(3)
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("#jobs progress")).to_be_visible()
    return page


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop-light", marks=pytest.mark.slow),
        pytest.param(PHONE, "dark", id="phone-dark"),
        pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_on_the_picture_s_page(
    open_page: OpenPage, service: FakeService, size: tuple[int, int], scheme: str
) -> None:
    assert violations(full(open_page, service, size, scheme)) == []


@pytest.mark.slow
def test_axe_finds_nothing_on_the_clip_s_page_and_beside_an_error(
    open_page: OpenPage, service: FakeService
) -> None:
    service.script = [Scripted(502, {"detail": "Not found.", "error": "MediaUnavailable"})]
    page = open_page(service.url)
    shown(page)
    click(page, 0.5, 0.5)
    expect(page.get_by_role("alert")).to_have_text("Not found.")
    assert violations(page) == []
    page.get_by_role("button", name="Sample clip").click()
    expect(page.locator("#timeline")).to_be_visible()
    shown(page)
    assert violations(page) == []


def test_nothing_is_wider_than_the_screen(open_page: OpenPage, service: FakeService) -> None:
    page = full(open_page, service, PHONE, "light")
    for width in (320, 390, 640, 768, 1024, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})


def test_nothing_is_loaded_from_another_host(open_page: OpenPage, service: FakeService) -> None:
    page = open_page("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(service.url)
    shown(page)
    assert all(url.startswith((service.url, "data:", "blob:")) for url in asked)


def violations(page: Page) -> list[str]:
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{rule['id']}: {node['html'][:150]} {node['any'][:1] and node['any'][0]['message']}"
        for rule in found.response["violations"]
        for node in rule["nodes"]
    ]
