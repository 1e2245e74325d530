"""The report of a tuning run, as a browser shows it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.learning import curve, report
from label_studio_sam2.learning.curve import Mark
from label_studio_sam2.learning.report import Shot, Subject
from playwright.sync_api import expect

from demo_model.scenes import draw_scene
from tests.fakes.chromium import DESKTOP, OpenPage
from tests.fakes.servers import Site, serving
from tests.server.page.test_accessibility import PHONE, violations

FIGURES = {"held_out": {"one click": {"before": 0.812, "after": 0.854}}, "agreement": 0.9871, "noise": None}
VERDICT = Verdict(True, 'Used: <better> & "more".', FIGURES)
VERSIONS = [Mark(1, 0.7, 0.78, True), Mark(2, 0.78, 0.741, False), Mark(3, 0.78, 0.854, True)]
COUNTS = {"tasks": 24, "annotations": 26, "masks": 40, "unusable": 1, "training": 25, "checking": 5}


def shots() -> Iterator[Shot]:
    for seed in (3, 5):
        scene = draw_scene(seed, width=256, height=256)
        truth = scene.masks[0]
        yield Shot(scene.image, truth, np.roll(truth, 12, axis=1), truth, prompting.click(truth))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    subject = Subject("Project 12, version 3", "demo-1234+project12.v1", VERSIONS)
    page = report.page(subject, VERDICT, COUNTS, list(shots()))
    with serving(
        Site(lambda exchange: exchange.reply(200, page.encode(), {"Content-Type": "text/html"}))
    ) as site:
        yield f"{site.url}/behind/a/path/reports/12/3"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_a_report_in_either_scheme(
    open_page: OpenPage, address: str, size: tuple[int, int], scheme: str
) -> None:
    page = open_page(address, size=size, color_scheme=scheme)
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 18, 23)") is (scheme == "dark")


def test_a_report_says_in_words_what_was_counted_and_what_each_picture_shows(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    main = page.get_by_role("main")
    expect(main.get_by_text('Used: <better> & "more".')).to_be_visible()
    expect(main.get_by_role("row", name="masks trained on 25")).to_be_visible()
    expect(main.get_by_role("row", name="one click 0.812 0.854")).to_be_visible()
    assert "{" not in main.inner_text()
    expect(main.get_by_role("heading", name="Example 1: IoU 0.")).to_contain_text(", 1.000 after")
    expect(
        main.get_by_role("row", name="as the base answers, apart from accepted objects 0.987")
    ).to_be_visible()
    expect(main.get_by_role("row", name="may be chance")).to_have_count(
        0
    )  # nothing is said of what wasn't measured
    captions = ["Before: demo-1234+project12.v1", "After: this version"]
    expect(main.locator("figcaption")).to_have_text(captions * 2)


def test_a_report_shows_the_versions_as_a_curve_and_which_of_them_went_into_use(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    expect(page.get_by_role("img", name="held-out tasks, version 1 to 3")).to_be_visible()
    dots = page.locator("svg.curve circle")
    heights = [float(dot.get_attribute("cy") or 0) for dot in dots.all()]
    assert heights[1] > heights[0] > heights[2]  # 0.741, 0.78, 0.854
    assert [dot.get_attribute("class") for dot in dots.all()] == ["used", "refused", "used"]
    expect(dots.nth(1).locator("title")).to_have_text("Version 2: 0.780 before, 0.741 with it, not used")


def test_one_version_is_no_curve() -> None:
    assert curve.svg(VERSIONS[:1]) == curve.svg([]) == ""


def test_a_report_leads_back_to_the_page_that_it_lies_below(open_page: OpenPage, address: str) -> None:
    link = open_page(address).get_by_role("link", name="Back to the status")
    assert link.evaluate("link => link.href") == address.removesuffix("reports/12/3")
